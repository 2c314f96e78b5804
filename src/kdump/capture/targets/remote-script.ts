/**
 * What runs on the machine that takes dumps by ssh: a fixed script for any POSIX shell, with words as its arguments. It
 * contains no quote of the kind that it is quoted with. `ssh/kdump-receive` is the same as a forced command.
 *
 *   hello                          says that it is there
 *   begin PARENT NAME              makes a directory; says its name and the space that there is
 *   put DIRECTORY FILE BYTES       a small file from standard input, under its name when it is whole
 *   stream DIRECTORY FILE          standard input to a file, as it comes
 *   finish DIRECTORY FROM TO BYTES checks the size, makes it durable, renames
 */
export const remoteScript = `umask 077
fail() {
  echo "kdump-receive: $*" >&2
  exit 1
}
settle() {
  sync "$@" 2> /dev/null || sync
}
finish() {
  size=$(wc -c < "$1/$2") || fail "$1/$2 cannot be read"
  [ "$size" -eq "$4" ] || fail "$1/$2 has $size bytes, but $4 were sent"
  case $3 in
    vmcore | vmcore.flat) [ ! -e "$1/$3" ] || fail "$1/$3 exists already" ;;
  esac
  settle "$1/$2" && mv -f "$1/$2" "$1/$3" && settle "$1" || fail "$1/$3 cannot be made durable"
}
verb=$1
shift
case $verb in
  hello)
    echo "kdump-receive is ready"
    ;;
  begin)
    mkdir -p "$1" || fail "$1 cannot be made"
    directory=$1/$2
    number=1
    until mkdir "$directory" 2> /dev/null; do
      [ -e "$directory" ] && [ $number -lt 100 ] || fail "$directory cannot be made"
      number=$((number + 1))
      directory=$1/$2-$number
    done
    settle "$1"
    echo "kdump-receive directory $directory"
    echo "kdump-receive space $(df -P -k "$directory" | tail -n 1)"
    ;;
  put)
    cat > "$1/incomplete-$2" || fail "$1/$2 cannot be written"
    finish "$1" "incomplete-$2" "$2" "$3"
    ;;
  stream)
    cat > "$1/$2" || fail "$1/$2 cannot be written"
    ;;
  finish)
    finish "$@"
    ;;
  *)
    fail "unknown request $verb"
    ;;
esac
`;
