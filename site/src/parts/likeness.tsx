import { decibels, nines } from './format';

interface LikenessProps {
  /** In dB, absent until both pictures are there. */
  readonly psnr: number | undefined;
  readonly ssim: number | undefined;
}

/** The scale's ends, in dB. */
const [FROM, TO] = [20, 80];
const place = (psnr: number): string => `${Math.min(100, Math.max(0, (100 * (psnr - FROM)) / (TO - FROM)))}%`;

/** What a likeness means to an eye. */
export function verdict(psnr: number): string {
  if (psnr >= 99.9) return 'the same picture';
  if (psnr >= 50) return 'no difference to be seen';
  if (psnr >= 40) return 'a difference that can hardly be seen';
  if (psnr >= 30) return 'small differences';
  return 'another picture';
}

/** How near a cached picture is to the uncached one. */
export function Likeness({ psnr, ssim }: LikenessProps) {
  return (
    <div class="likeness">
      <p class="figure">
        <b>{psnr === undefined ? '–' : decibels(psnr)}</b> <small>dB PSNR</small>
      </p>
      <div class="gauge" aria-hidden="true">
        <span class="ticks">
          <i style={{ left: place(40) }}>40</i>
          <i style={{ left: place(50) }}>50</i>
        </span>
        {psnr !== undefined && <b style={{ left: place(psnr) }} />}
      </div>
      <p class="note">{psnr === undefined ? 'Measured when both are drawn.' : `${capital(verdict(psnr))}.`}</p>
      <p class="note">SSIM {ssim === undefined ? '–' : nines(ssim)}</p>
    </div>
  );
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
