import * as errors from '../src/errors';

const { ErtaError, PolicyError } = errors;

/** Every class of errors, made with this text. */
function everyError(text: string): [string, errors.ErtaError][] {
  return Object.entries(errors).map(([name, value]) => {
    const made = value as unknown as new (...args: unknown[]) => errors.ErtaError;
    if (name === 'ErtaError') return [name, new made('usage', text, { hint: text })];
    if (name === 'CheckpointError') return [name, new made('offsets', text, { hint: text })];
    return [name, new made(text, { hint: text })];
  });
}

test('an error carries its code, its hint and its class name', () => {
  const error = new PolicyError('The policy is for another model.', { hint: 'Calibrate one.' });
  expect(error).toBeInstanceOf(ErtaError);
  expect([error.name, error.code, error.hint]).toEqual(['PolicyError', 'policy', 'Calibrate one.']);
  expect(ErtaError.isInstance(error)).toBe(true);
  expect(ErtaError.isInstance(new Error('x'))).toBe(false);
});

test.each(everyError('A \x1b[31mred\x1b[0m\r\n\x07 "name\u202e"\u2028, half a \ud83d and 🦊.'))(
  '%s shows nothing that a terminal would obey',
  (_, { message, hint }) => {
    const shown = 'A \\u001b[31mred\\u001b[0m\\r\\n\\u0007 "name\\u202e"\\u2028, half a \\ud83d and 🦊.';
    expect(message).toBe(shown);
    expect([shown, undefined]).toContain(hint);
  },
);

test.each(everyError(`The tensor ${'🦊'.repeat(50_000)} is not there.`))(
  '%s keeps both ends of a name without end',
  (_, { message, hint = '' }) => {
    expect(message).toMatch(/^The tensor (🦊){160}…(🦊){60} is not there\.$/u);
    expect(hint.length).toBeLessThan(500);
  },
);

test.each(everyError(`It holds ${'a, '.repeat(50_000)}.`))('%s keeps both ends of a list without end', (_, error) => {
  expect(error.message).toMatch(/^It holds a, .*…, a.*\.$/);
  expect(error.message.length).toBeLessThan(2000);
});
