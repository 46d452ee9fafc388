/** What something seems to be, and what to do about it. */
export interface Guess {
  readonly what: string;
  readonly hint: string;
}

const GUESSES: readonly (Guess & { looks(text: string): boolean })[] = [
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
    what: 'a GGUF file, which holds a transformer alone',
    hint: 'Name the folder of its pipeline as --model and the file itself as --transformer.',
  },
  {
    looks: text => text.startsWith('\x89HDF'),
    what: 'an HDF5 file, not safetensors',
    hint: 'Take the .safetensors file of the same model.',
  },
  {
    looks: text => /^\s*[{[]\s*["{[][\x20-\x7e]/.test(text),
    what: 'a JSON file, not weights',
    hint: 'Give the folder that it lies in.',
  },
];

/** What a file that is not safetensors seems to be, judged by its first bytes; undefined when nothing is known. */
export function sniff(head: Uint8Array): Guess | undefined {
  if (beginsAsSafetensors(head)) return undefined;
  const text = String.fromCharCode(...head.subarray(0, 64));
  return GUESSES.find(guess => guess.looks(text));
}

/** The length of a header, and its brace. The length alone may begin like a pickle (640 bytes) or a zip file (19,280). */
function beginsAsSafetensors(head: Uint8Array): boolean {
  if (head[8] !== 0x7b) return false;
  const length = new DataView(head.buffer, head.byteOffset).getBigUint64(0, true);
  return length >= 2n && length <= 100_000_000n;
}

const NAMED: readonly (Guess & { readonly pattern: RegExp })[] = [
  {
    pattern:
      /[._]lora[._](A|B|down|up|magnitude)|^lora_(unet|te\d?|transformer)_|_lora\d?\.(down|up)\.|\.(hada_w|lokr_w|dora_scale)/,
    what: 'an adapter (LoRA), not a model',
    hint: 'It only changes another model: give that model, and this one beside it as --lora, in the library as loras.',
  },
  {
    pattern: /^(first_stage_model|cond_stage_model|conditioner)\./,
    what: 'a whole pipeline of Stable Diffusion in a single file',
    hint: 'ertacache runs diffusion transformers, not the U-Nets of Stable Diffusion.',
  },
  {
    pattern: /\.(exp_avg|exp_avg_sq)$|^optimizer\./,
    what: 'the state of a training run, not a model',
    hint: 'Take the weights that were exported from it.',
  },
];

/** What tensors of these names are, where they are no model of their own; undefined when nothing is known. */
export function sniffNames(names: readonly string[]): Guess | undefined {
  return NAMED.find(({ pattern }) => names.some(name => pattern.test(name)));
}
