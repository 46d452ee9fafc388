import { encodeMedia } from '../media/encode';
import { frames, type Media } from '../media/pixels';

/** How a terminal is sent pictures: kitty's graphics protocol, or iTerm2's inline images. */
export type PictureProtocol = 'kitty' | 'iterm2';

/** Lines of the terminal that a picture takes. */
const ROWS = 16;
/** The number that kitty knows the picture by: the next of this number takes its place. */
const IMAGE_ID = 7127;
/** Most characters of base64 that kitty takes in one piece. */
const KITTY_PIECE = 4096;

/** What a terminal can show, as far as its environment tells; nothing where the stream is no terminal. */
export function pictureProtocol(env: NodeJS.ProcessEnv, isTerminal: boolean): PictureProtocol | undefined {
  // Multiplexers swallow both protocols, or show the picture in the wrong place.
  if (!isTerminal || env.TMUX || env.STY || /^(screen|tmux|dumb)/.test(env.TERM ?? '')) return undefined;
  if (env.KITTY_WINDOW_ID || /kitty|ghostty/.test(`${env.TERM} ${env.TERM_PROGRAM}`)) return 'kitty';
  if (/^(iTerm\.app|WezTerm|mintty)$/.test(env.TERM_PROGRAM ?? '') || env.LC_TERMINAL === 'iTerm2') return 'iterm2';
  return undefined;
}

/** The escape sequence that shows a PNG at the cursor, which stays where it is. */
export function pictureSequence(protocol: PictureProtocol, png: Uint8Array): string {
  const base64 = Buffer.from(png).toString('base64');
  if (protocol === 'iterm2') {
    const settings = `inline=1;size=${png.length};height=${ROWS};preserveAspectRatio=1;doNotMoveCursor=1`;
    return `\x1b]1337;File=${settings}:${base64}\x07`;
  }
  const pieces = base64.match(new RegExp(`.{1,${KITTY_PIECE}}`, 'g')) ?? [];
  return pieces
    .map((piece, i) => {
      const more = i < pieces.length - 1 ? 1 : 0;
      const head = i === 0 ? `a=T,f=100,i=${IMAGE_ID},p=1,q=2,C=1,r=${ROWS},m=${more}` : `m=${more}`;
      return `\x1b_G${head};${piece}\x1b\\`;
    })
    .join('');
}

/** Shows a picture above the line that the cursor is on; each takes the place of the one before. */
export function terminalPicture(
  stream: NodeJS.WriteStream,
  protocol: PictureProtocol,
): (media: Media) => Promise<void> {
  let isThere = false;
  return async media => {
    const png = await encodeMedia(frames(media)[0] as Media, 'png', {});
    if (!isThere) stream.write(`\r\x1b[K${'\n'.repeat(ROWS)}`);
    isThere = true;
    stream.write(`\x1b7\x1b[${ROWS}A\r${pictureSequence(protocol, png)}\x1b8`);
  };
}
