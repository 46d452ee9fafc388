import ts from 'typescript';

/** What is said of the names that a package exports, and what is not. */
export interface Audit {
  /** Functions, and members that are called: the number that was looked at. */
  readonly functions: number;
  /** The functions among them of which something is not said. */
  readonly undocumented: number;
  /** One line for everything that is not said, such as `core withCache: no @param options`. */
  readonly faults: readonly string[];
}

type Called = ts.SignatureDeclaration;

/**
 * Looks for what the comments of exported names leave out: summaries; for functions and members that are called also
 * `@param` for every parameter, `@returns` for what is not void, and `@throws` for every class that the body itself
 * throws. Members that are optional and hold a function are callbacks: a summary will do.
 * @param program a program that holds the entries
 * @param entries the entries' paths, by name
 * @param within only declarations in files whose path begins so are looked at
 */
export function auditComments(program: ts.Program, entries: Readonly<Record<string, string>>, within: string): Audit {
  const checker = program.getTypeChecker();
  const faults: string[] = [];
  const seen = new Set<ts.Node>();
  const counts = { functions: 0, undocumented: 0 };

  const own = (symbol: ts.Symbol): ts.Declaration[] =>
    (symbol.declarations ?? []).filter(
      declaration => declaration.getSourceFile().fileName.startsWith(within) && !seen.has(declaration),
    );

  function summary(name: string, symbol: ts.Symbol): string[] {
    const text = ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim();
    return text === '' ? [`${name}: no summary`] : [];
  }

  /** @param owner the declaration that has the comment */
  function call(name: string, owner: ts.Node, signature: Called): string[] {
    const tags = ts.getJSDocTags(owner);
    const named = tags.filter(ts.isJSDocParameterTag).map(tag => tag.name.getText());
    const plain = signature.parameters.filter(p => ts.isIdentifier(p.name)).map(p => p.name.getText());
    const missing = plain.filter(param => param !== 'this' && !named.includes(param));
    const unpacked = signature.parameters.length - plain.length;
    if (named.filter(param => !plain.includes(param) && !param.includes('.')).length < unpacked) missing.push('{…}');
    const stray = unpacked === 0 ? named.filter(param => !plain.includes(param) && !param.includes('.')) : [];
    const empty = tags.filter(tag => ts.isJSDocParameterTag(tag) && !ts.getTextOfJSDocComment(tag.comment));
    const returns = tags.some(tag => ts.isJSDocReturnTag(tag) && ts.getTextOfJSDocComment(tag.comment));
    const throws = tags.filter(ts.isJSDocThrowsTag).map(tag => tag.getText());
    const unsaid = thrown(signature).filter(type => !throws.some(text => text.includes(type)));
    return [
      ...missing.map(param => `${name}: no @param ${param}`),
      ...stray.map(param => `${name}: @param ${param} is none of its parameters`),
      ...empty.map(() => `${name}: a @param that says nothing`),
      ...(returns || !isValue(signature) ? [] : [`${name}: no @returns`]),
      ...unsaid.map(type => `${name}: no @throws ${type}`),
    ];
  }

  function isValue(signature: Called): boolean {
    if (ts.isConstructorDeclaration(signature)) return false;
    const { flags, text } = returned(signature);
    return (
      (flags & (ts.TypeFlags.Void | ts.TypeFlags.Never)) === 0 &&
      !['Promise<void>', 'void | Promise<void>'].includes(text)
    );
  }

  function returned(signature: Called): { flags: ts.TypeFlags; text: string } {
    const type = checker.getReturnTypeOfSignature(checker.getSignatureFromDeclaration(signature)!);
    return { flags: type.flags, text: checker.typeToString(type) };
  }

  function look(name: string, symbol: ts.Symbol, signatures: readonly (readonly [ts.Node, Called])[]): void {
    const found = [
      ...summary(name, symbol),
      ...signatures.flatMap(([owner, signature]) => call(name, owner, signature)),
    ];
    faults.push(...found);
    if (signatures.length === 0) return;
    counts.functions++;
    if (found.length > 0) counts.undocumented++;
  }

  /** A constructor: what it is for, and its parameters. */
  function construct(name: string, node: ts.ConstructorDeclaration): string[] {
    const said = ts.getJSDocCommentsAndTags(node).some(c => ts.isJSDoc(c) && ts.getTextOfJSDocComment(c.comment));
    return [...(said ? [] : [`${name}: no summary`]), ...call(name, node, node)];
  }

  function members(name: string, nodes: readonly ts.Node[]): void {
    for (const node of nodes) {
      const symbol = 'symbol' in node ? (node.symbol as ts.Symbol | undefined) : undefined;
      if (!symbol || isPrivate(node)) continue;
      const title = `${name}.${symbol.name}`;
      if (ts.isMethodSignature(node) || ts.isMethodDeclaration(node)) {
        if (!seen.has(node)) look(title, symbol, [[node, node]]);
      } else if (ts.isPropertySignature(node) || ts.isPropertyDeclaration(node)) {
        const type = node.type && withoutParentheses(node.type);
        const called = type && ts.isFunctionTypeNode(type) && !node.questionToken;
        look(title, symbol, called ? [[node, type]] : []);
      } else if (ts.isCallSignatureDeclaration(node)) {
        look(`${name}()`, symbol, []);
        const found = call(name, node, node);
        faults.push(...found);
        counts.functions++;
        if (found.length > 0) counts.undocumented++;
      }
    }
  }

  function exported(name: string, symbol: ts.Symbol): void {
    const declarations = own(symbol);
    for (const declaration of declarations) seen.add(declaration);
    const functions = declarations.filter(ts.isFunctionDeclaration);
    const overloads = functions.filter(f => !f.body);
    if (functions.length > 0) {
      look(
        name,
        symbol,
        (overloads.length > 0 ? overloads : functions).map(f => [f, f] as const),
      );
    }
    for (const declaration of declarations) {
      if (ts.isFunctionDeclaration(declaration)) continue;
      if (ts.isVariableDeclaration(declaration)) {
        const { initializer } = declaration;
        const called = initializer && (ts.isArrowFunction(initializer) || ts.isFunctionExpression(initializer));
        look(name, symbol, called ? [[declaration, initializer]] : []);
      } else if (ts.isInterfaceDeclaration(declaration)) {
        look(name, symbol, []);
        members(name, declaration.members);
      } else if (ts.isClassDeclaration(declaration)) {
        look(name, symbol, []);
        members(name, declaration.members);
        const constructors = declaration.members.filter(ts.isConstructorDeclaration);
        faults.push(...constructors.flatMap(node => construct(`new ${name}`, node)));
      } else if (ts.isTypeAliasDeclaration(declaration)) {
        const type = withoutParentheses(declaration.type);
        look(name, symbol, ts.isFunctionTypeNode(type) ? [[declaration, type]] : []);
        for (const literal of literals(type)) members(name, literal.members);
      }
    }
  }

  for (const [entry, path] of Object.entries(entries)) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(path)!)!;
    for (const symbol of checker.getExportsOfModule(module)) {
      const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      exported(`${entry} ${symbol.name}`, target);
    }
  }
  return { ...counts, faults };
}

/** The object types that a type is put together of; what a member of a union is for stands before it. */
function literals(type: ts.TypeNode): ts.TypeLiteralNode[] {
  if (ts.isTypeLiteralNode(type)) return [type];
  if (ts.isIntersectionTypeNode(type)) return type.types.flatMap(literals);
  return ts.isParenthesizedTypeNode(type) ? literals(type.type) : [];
}

const withoutParentheses = (type: ts.TypeNode): ts.TypeNode =>
  ts.isParenthesizedTypeNode(type) ? withoutParentheses(type.type) : type;

const isPrivate = (node: ts.Node): boolean =>
  ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some(m => m.kind === ts.SyntaxKind.PrivateKeyword);

/** The classes of what a function's own body throws, not what the functions within it do. */
function thrown(signature: Called): string[] {
  const classes = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node)) return;
    if (ts.isThrowStatement(node) && ts.isNewExpression(node.expression))
      classes.add(node.expression.expression.getText());
    ts.forEachChild(node, visit);
  };
  const { body } = signature as { body?: ts.Node };
  if (body) ts.forEachChild(body, visit);
  return [...classes];
}
