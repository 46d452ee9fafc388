import { cleanOpenSoraPrompt, cleanWanPrompt } from '../../src/text/cleaning';
import { fixText } from '../../src/text/fix-text';
import { htmlText, unescapeComplete, unescapeHtml } from '../../src/text/html';

describe('fixText', () => {
  test.each([
    ['donâ€™t', "don't"],
    ['cafÃ©', 'café'],
    ['une tasse de cafÃ© Ã©tÃ©', 'une tasse de café été'],
    ['ÐŸÑ€Ð¸Ð²ÐµÑ‚', 'Привет'],
    ['ð\x9f\x98\x80 yes', '😀 yes'],
    // Twice misread.
    ['cafÃƒÂ©', 'café'],
    // Only in part.
    ['你 â€œhiâ€\x9d', '你 "hi"'],
    ['\x93stray\x94', '"stray"'],
    ['ﬁne Ǆ ﬅop', 'fine DŽ ſtop'],
    ['ＡＢＣ　１', 'ABC 1'],
    ['a\r\nb\u2028c', 'a\nb\nc'],
    ['lone \ud800 half', 'lone \ufffd half'],
    ['\x1b[1;31mred\x1b[0m', 'red'],
    ['&lt;b&gt; &EACUTE;', '<b> É'],
    ['<b> &amp;\n&amp;', '<b> &amp;\n&amp;'],
    ['e\u0301', 'é'],
  ])('%j becomes %j', (text, fixed) => {
    expect(fixText(text)).toBe(fixed);
  });

  test.each([
    'groß… größer',
    'AMANHÃ…',
    'naïve café, über Ångström',
    'un café…” dit-il',
    '«Её» Привет',
    '5 € ½ ™',
    '漢字 こんにちは',
  ])('%j stays', text => {
    expect(fixText(text).replace(/["”]/g, '"')).toBe(text.replace(/["”]/g, '"'));
  });
});

describe('html', () => {
  test.each([
    ['a <b class="x>y">bold</b> word', 'a bold word'],
    ['1 < 2 and 3 > 2', '1 < 2 and 3 > 2'],
    ['a<!-- no --><?php no ?><!DOCTYPE html>b', 'ab'],
    ['<style>p { }</style>text<script>if (a < b) {}</script>', 'text'],
    ['never <b closed', 'never <b closed'],
    ['&eacute;&#233;&#xe9;&copy', 'ééé&copy'],
    ['&nosuch; &amp x', '&nosuch & x'],
  ])('the text of %j is %j', (html, text) => {
    expect(htmlText(html)).toBe(text);
  });

  test('a tag that is never closed takes no longer for its quotes', () => {
    const start = performance.now();
    htmlText(`<a ${'b="c" '.repeat(20_000)}`);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test('references', () => {
    expect(unescapeHtml('&ampx &notit; &#8364 &#x80;')).toBe('&x ¬it; € €');
    expect(unescapeComplete('&amp &amp; &nosuch; &NOSUCH; &EACUTE;')).toBe('&amp & &nosuch; &NOSUCH; É');
  });
});

describe('cleaning', () => {
  test('white space is what it is in Python', () => {
    expect(cleanWanPrompt('a\x1c\x85b\ufeff', { fix: false })).toBe('a b\ufeff');
  });

  test('Open-Sora: words of every alphabet have edges', () => {
    expect(cleanOpenSoraPrompt('кошка@друг и собака')).toBe('кошка и собака');
    expect(cleanOpenSoraPrompt('Кот.собака')).toBe('кот. собака');
  });

  test('Open-Sora: what was encoded for an address is text again', () => {
    expect(cleanOpenSoraPrompt('caf%C3%A9+noir 50%')).toBe('café noir 50%');
  });
});
