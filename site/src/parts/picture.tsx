import { drawTo, type Media, playOn } from 'ertacache/browser';
import { useEffect, useRef } from 'preact/hooks';
import { noise } from './noise';

interface PictureProps {
  readonly media: Media | undefined;
  /** Frames a second of a clip. */
  readonly fps?: number | undefined;
  /** What is seen, for those who do not see it. */
  readonly label: string;
  /** A picture of something else, until this one's first step. */
  readonly stale?: boolean;
  readonly busy?: boolean;
}

/** A picture, or a clip that plays, in pixels as they are. What is not there yet is noise, as in the model. */
export function Picture({ media, fps, label, stale = false, busy = false }: PictureProps) {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const canvas = ref.current;
    if (!canvas) return undefined;
    if (!media) {
      const begin = noise();
      canvas.width = begin.width;
      canvas.height = begin.height;
      canvas.getContext('2d')?.putImageData(begin, 0, 0);
      return undefined;
    }
    const frames = media.shape.length === 4 ? (media.shape[0] ?? 1) : 1;
    if (frames > 1 && !matchMedia('(prefers-reduced-motion: reduce)').matches) return playOn(canvas, media, { fps });
    // Where motion is unwanted, a clip stands still at its middle.
    drawTo(canvas, media, { frame: frames >> 1 });
    return undefined;
  }, [media, fps]);
  return <canvas ref={ref} class={`picture${stale ? ' stale' : ''}`} role="img" aria-label={label} aria-busy={busy} />;
}
