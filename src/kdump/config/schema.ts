import {
  anyDirective,
  directiveNames,
  removedDirectives,
  renamedDirectives,
  targetDocs,
} from './directives.ts';
import { targetDirectives } from './target.ts';
import { variableFiles, variables } from './variables.ts';

/** The tables as plain JSON: what can be written where, for programs that write configurations. */
export function configSchema() {
  return {
    targets: targetDirectives.map((name) => ({
      name,
      syntax: targetDocs[name][0],
      doc: targetDocs[name][1],
    })),
    directives: directiveNames.map((name) => {
      const { type, default: standard, doc, since, capture, repeatable = false } = anyDirective(name);
      const { syntax, choices } = type;
      return {
        name,
        syntax,
        ...(choices && { choices }),
        default: standard,
        repeatable,
        capture,
        since,
        doc,
      };
    }),
    renamed: renamedDirectives,
    removed: removedDirectives,
    variables: Object.entries(variables)
      .filter(([, { unused }]) => unused === undefined)
      .map(([name, { in: kinds, doc, insteadOfConf = false }]) => ({
        name,
        files: kinds.map((kind) => variableFiles[kind]),
        onlyWithoutConf: insteadOfConf,
        doc,
      })),
  };
}
