const GUESSES: readonly { looks(text: string): boolean; what: string; hint: string }[] = [
  {
    looks: text => text.startsWith('version https://git-lfs'),
    what: 'a git-lfs pointer, which stands for the weights but does not hold them',
    hint: 'Fetch the weights themselves with `git lfs pull`, or download the file from its repository.',
  },
  {
    looks: text => /^\s*<(!doctype|html|\?xml|head|body)/i.test(text),
    what: 'a web page, not weights',
    hint: 'The download was answered with an error page; download the file again.',
  },
  {
    looks: text => text.startsWith('PK') || (text[0] === '\x80' && text.charCodeAt(1) <= 5),
    what: 'a zip or pickle file, as PyTorch writes them, not safetensors',
    hint: 'Take the .safetensors file of the same model: ertacache reads no pickles, since loading one runs its code.',
  },
  {
    looks: text => text.startsWith('GGUF'),
    what: 'a GGUF file, not safetensors',
    hint: 'Take the .safetensors file of the same model.',
  },
  {
    looks: text => text.startsWith('\x89HDF'),
    what: 'an HDF5 file, not safetensors',
    hint: 'Take the .safetensors file of the same model.',
  },
];

/** What a file that is not safetensors seems to be, judged by its first bytes; undefined when nothing is known. */
export function sniff(head: Uint8Array): { what: string; hint: string } | undefined {
  const text = String.fromCharCode(...head.subarray(0, 64));
  return GUESSES.find(guess => guess.looks(text));
}
