import { type Task, tasksOf } from '../../src/cli/sample/tasks';

const named = (...prompts: string[]): string[] => tasksOf(prompts, { seed: 0, numImages: 1 }).map((t: Task) => t.name);

test('equal prompts get numbers, which no other prompt has taken', () => {
  expect(named('a fox', 'A fox!', 'a fox 2', 'a fox')).toEqual(['a-fox-0', 'a-fox-2-0', 'a-fox-2-2-0', 'a-fox-3-0']);
});

// One by one against all the others, this takes minutes.
test('thousands of equal prompts get names of their own', () => {
  const names = named(...Array<string>(10_000).fill('a fox'));
  expect(new Set(names).size).toBe(10_000);
  expect(names.at(-1)).toBe('a-fox-10000-0');
});

test.each([
  ['characters of two halves', `ab ${'\u{1d483}'.repeat(80)}`],
  ['one more before', `abc ${'\u{1d483}'.repeat(80)}`],
  ['Chinese', '狐'.repeat(200)],
  ['one long word', 'x'.repeat(5000)],
])('a name of %s is cut between characters, and no file system refuses it', (_, prompt) => {
  const [name] = named(prompt);
  expect(name).not.toMatch(/\p{Surrogate}/u);
  expect(name!.length).toBeGreaterThan(30);
  expect(Buffer.byteLength(`.${name}-100000.webp.0123456789abcdef0123456789abcdef.partial`)).toBeLessThan(255);
});

test('a prompt without a letter is a picture', () => {
  expect(named('🦊', '')).toEqual(['picture-0', 'picture-2-0']);
});
