/** Colours of uses of memory, in their order; told apart by their lightness, too. */
const uses = [
  '#8a94a0',
  '#2f6fb5',
  '#4f9d69',
  '#7cc4a0',
  '#c9862b',
  '#8c5aa8',
  '#b8478a',
  '#b5483c',
] as const;

/** Follows the reader's choice of light or dark, prints without colours of the background, fits a telephone. */
export const reportStyle = `
:root { color-scheme: light dark; --text: #1c1f23; --back: #ffffff; --soft: #5a6470; --line: #d4d9df; --box: #f4f6f8; --bad: #a8231b; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e7eb; --back: #16191d; --soft: #a3adb8; --line: #3a424b; --box: #20252b; --bad: #ff8a80; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); }
h1 { font-size: 1.3rem; line-height: 1.3; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
.message { color: var(--bad); font-family: ui-monospace, monospace; font-size: 1rem; }
.story { font-size: 1.05rem; overflow-wrap: anywhere; }
.failed, .note { color: var(--soft); }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
dl { margin: .5rem 0; }
dl div { display: grid; grid-template-columns: 11rem 1fr; gap: .75rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { margin: .5rem 0; padding: .75rem; overflow-x: auto; background: var(--box); border: 1px solid var(--line); border-radius: 4px; font: .85rem/1.45 ui-monospace, monospace; }
:focus-visible { outline: 2px solid var(--text); outline-offset: 1px; }
summary { cursor: pointer; padding: .25rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .25rem; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
svg { display: block; width: 100%; height: 2rem; border-radius: 4px; }
.key { display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem; border-radius: 2px; vertical-align: -1px; }
${uses.map((colour, i) => `.use-${i} { fill: ${colour}; background: ${colour}; }`).join('\n')}
@media (max-width: 36rem) { dl div { grid-template-columns: 1fr; gap: 0; margin-bottom: .4rem; } }
@media print { details > * { display: block; } pre { white-space: pre-wrap; } .key { print-color-adjust: exact; } }
`;
