import fc from 'fast-check';
import { EDGE, IN_WORD } from '../../src/text/patterns';
import { withoutAddresses } from '../../src/text/web-addresses';

/** The published rule as the one expression that it is. */
const rule = (scheme: string): RegExp =>
  new RegExp(
    `${EDGE}(?:${scheme}:(?:/{1,3}|[a-zA-Z0-9%])|[a-zA-Z0-9.-]+[.](?:com|co|ru|net|org|edu|gov|it)[${IN_WORD}/-]*${EDGE}/?(?!@))`,
    'gu',
  );

test.each([
  ['see https://a.com/b now', 'see  now'],
  ['a.com/b.x.com c', ' c'],
  ['é.com and éa.com', 'é.com and éa.com'.replace(rule('https?'), '')],
  ['me@a.com, a.com@me', 'me@, a.com@me'.replace(rule('https?'), '')],
])('%j', (text, expected) => {
  expect(withoutAddresses(text, 'https?')).toBe(expected);
});

test('finds what the one expression finds', () => {
  const part = fc.constantFrom(
    'a',
    'é',
    '_',
    '-',
    '.',
    '/',
    '@',
    ' ',
    ':',
    'com',
    '.com',
    '.co',
    '.it',
    'http',
    'www:',
    'https:/',
    '1',
    '😀',
  );
  const texts = fc.array(part, { maxLength: 24 }).map(parts => parts.join(''));
  fc.assert(
    fc.property(texts, fc.constantFrom('https?', 'www'), (text, scheme) => {
      expect(withoutAddresses(text, scheme)).toBe(text.replace(rule(scheme), ''));
    }),
    { numRuns: 20_000, seed: 1 },
  );
});
