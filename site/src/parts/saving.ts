/** Hands bytes to the visitor as a file. */
export function saveFile(name: string, bytes: BlobPart, type: string): void {
  const address = URL.createObjectURL(new Blob([bytes], { type }));
  const anchor = document.createElement('a');
  anchor.href = address;
  anchor.download = name;
  anchor.click();
  // Not at once: the browser has to begin reading first.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** A prompt as the name of a file. */
export const fileStem = (prompt: string, seed: number): string =>
  `${
    prompt
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}]+/gu, '-')
      .replaceAll(/^-+|-+$/g, '')
      .slice(0, 60) || 'picture'
  }-${seed}`;
