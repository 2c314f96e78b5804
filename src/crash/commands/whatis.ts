import { functionNamed } from '../../kernel/type-search.ts';
import { KdumpError } from '../../lib/errors.ts';
import { parseFlags, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { declare, layoutLines } from '../format/declaration.ts';
import { typeNamed, typeOfSymbol } from '../format/expression.ts';

export const whatis: Command = {
  name: 'whatis',
  usage: '[struct | union | typedef | symbol]',
  summary: 'how a type or a variable is declared',
  help: 'A structure is shown with its members; of a variable its declaration, where its type is known.',
  *run(session, args) {
    const text = parseFlags(args, '').positionals.join(' ');
    if (text === '') throw usageError('whatis: a type or a symbol is expected');
    const btf = session.kernel.core.btf;
    const variable = (btf && functionNamed(btf, text)) ?? typeOfSymbol(session, text);
    // Of a variable and a structure with one name crash shows the variable.
    if (variable !== undefined && session.kernel.symbol(text) !== undefined) {
      yield `${declare(variable, text)};`;
      return;
    }
    const type = typeNamed(session, text);
    if (type !== undefined) {
      if (type.bare.members.length > 0 && type.kind !== 'typedef') yield* layoutLines(type.bare);
      else if (type.bare.kind === 'enum' && type.kind === 'enum') {
        const constants = type.enumerators.map(({ name, value }) => `${name} = ${value}`);
        yield `enum ${type.name} {${constants.join(', ')}};`;
        yield `SIZE: ${type.size}`;
      } else {
        yield type.kind === 'typedef' ? `typedef ${declare(type.bare, type.name)};` : declare(type, '');
        yield `SIZE: ${type.size}`;
      }
      return;
    }
    throw new KdumpError('no-type', `whatis: neither a type nor a variable whose type is known: ${text}`);
  },
};
