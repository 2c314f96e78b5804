/** Version of kdump-tools, shown by `-v` of every command. */
export const version = '0.1.0';
