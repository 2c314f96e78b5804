import { configSchema } from '../../kdump/config/schema.ts';
import { verbs } from './verbs.ts';

/** What can follow a verb, as its usage says it: `a|b` and `[--option[=VALUE]]`. */
function wordsOf(usage: string): string[] {
  const options = usage.match(/--[a-z][a-z-]*=?/g) ?? [];
  const first = usage.split(' ')[0]!;
  const choices = /^[a-z-]+(\|[a-z-]+)*$/.test(first) ? first.split('|') : [];
  return [...choices, ...options, '--help'];
}

/** bash completion of kdumpctl, from the tables of verbs and of directives. */
export function bashCompletion(): string {
  const { targets, directives } = configSchema();
  const names = [...targets, ...directives].map(({ name }) => name);
  const cases = Object.entries(verbs).map(
    ([name, { usage }]) => `    ${name}) words='${wordsOf(usage).join(' ')}' ;;\n`,
  );
  const values = directives
    .filter(({ choices }) => choices !== undefined)
    .map(({ name, choices }) => `    ${name}) words='${choices!.join(' ')}' ;;\n`);
  return `# bash completion of kdumpctl(8); written by scripts/completions.mjs
_kdumpctl_values() {
  case $1 in
${values.join('')}    *) words='' ;;
  esac
}

_kdumpctl() {
  local current=\${COMP_WORDS[COMP_CWORD]} words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='${[...Object.keys(verbs), '--help', '--version'].join(' ')}'
  elif [ "\${COMP_WORDS[1]}" = config ] && [ "$COMP_CWORD" -gt 2 ]; then
    case \${COMP_WORDS[2]} in
    get | unset) [ "$COMP_CWORD" -eq 3 ] && words='${names.join(' ')}' ;;
    set)
      if [ "$COMP_CWORD" -eq 3 ]; then
        words='${names.join(' ')}'
      else
        _kdumpctl_values "\${COMP_WORDS[3]}"
      fi
      ;;
    check) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    esac
  else
    case \${COMP_WORDS[1]} in
${cases.join('')}    esac
  fi
  [ -z "$words" ] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _kdumpctl kdumpctl
`;
}
