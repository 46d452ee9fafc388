import type { Media, Receipt, Result } from 'ertacache/browser';
import { useEffect, useRef, useState } from 'preact/hooks';
import { likeness, repeat } from '../engine/engine';
import { announce } from '../parts/announcer';
import { decodePicture } from '../parts/decode-picture';
import { differenceOf } from '../parts/difference';
import { DropZone } from '../parts/drop-zone';
import { Failure } from '../parts/failure';
import { decibels, passes, seconds } from '../parts/format';
import { openedReceipt } from '../parts/opened-receipt';
import { Picture } from '../parts/picture';
import { SavePicture } from '../parts/save-picture';
import { Strip } from '../parts/strip';
import { MODELS, model, modelName } from '../state/model';
import { addressOf, change } from '../state/route';

/** A file that was dropped, and what it says of itself. */
interface Given {
  readonly name: string;
  readonly receipt: Receipt;
  /** An address of the picture itself; none where the file is a receipt alone. */
  readonly shown: string | undefined;
  /** Whether it is a video, which is shown as one. */
  readonly isVideo: boolean;
  readonly pixels: Media | undefined;
}

/** How far the picture is drawn again. */
interface Again {
  readonly schedule: string;
  readonly media?: Media | undefined;
  readonly result?: Result | undefined;
}

const MOST_BYTES = 64 * 2 ** 20;

/** Shows how a picture was made, wherever it was drawn, and draws it again. */
export function Repeat() {
  const [given, setGiven] = useState<Given | undefined>(undefined);
  const [error, setError] = useState<{ text: string; hint?: string | undefined } | undefined>(undefined);
  const [again, setAgain] = useState<Again | undefined>(undefined);
  const shown = useRef<string | undefined>(undefined);
  useEffect(() => () => shown.current && URL.revokeObjectURL(shown.current), []);

  const fail = (caught: unknown): void => {
    const { message, hint } = caught as { message?: string; hint?: string };
    setError({ text: message ?? String(caught), hint });
  };
  const open = async (files: readonly File[]): Promise<void> => {
    const [file] = files;
    if (!file) return;
    setError(undefined);
    setGiven(undefined);
    setAgain(undefined);
    try {
      if (file.size > MOST_BYTES) throw new Error(`${file.name} is larger than pictures of these models are.`);
      const receipt = await openedReceipt(file);
      if (shown.current) URL.revokeObjectURL(shown.current);
      const isPicture = file.type.startsWith('image/');
      const isVideo = file.type.startsWith('video/');
      shown.current = isPicture || isVideo ? URL.createObjectURL(file) : undefined;
      setGiven({
        name: file.name,
        receipt,
        shown: shown.current,
        isVideo,
        pixels: isPicture ? await decodePicture(file) : undefined,
      });
    } catch (caught) {
      fail(caught);
    }
  };

  // The model that drew it is loaded where it lies beside the page, whatever folder it was in elsewhere.
  const wanted = given && MODELS.find(({ id }) => id === given.receipt.model.id);
  useEffect(() => {
    if (wanted && wanted.id !== modelName.value) change({ model: wanted.id });
  }, [wanted]);
  const ready = wanted !== undefined && model.value?.name === wanted.id;
  useEffect(() => {
    if (!given || !ready) return undefined;
    const controller = new AbortController();
    setAgain({ schedule: '' });
    repeat(given.receipt, {
      signal: controller.signal,
      onStep: schedule => setAgain(last => ({ ...last, schedule })),
      onPreview: media => setAgain(last => ({ schedule: '', ...last, media })),
    }).then(
      result => {
        setAgain({ schedule: result.schedule, media: result.media, result });
        announce(`${result.receipt.prompt} is drawn again.`);
      },
      caught => !controller.signal.aborted && fail(caught),
    );
    return () => controller.abort();
  }, [given, ready]);

  return (
    <>
      <h1>Draw a picture again</h1>
      <p class="lede">
        Every file that ertacache writes says how it was made: prompt, seed, model, policy. Drop one that was drawn
        anywhere, on the command line, by a server or on this page, and it is drawn here once more.
      </p>
      <DropZone
        label="A picture or clip of ertacache: PNG, WebP, JPEG or MP4, or the JSON beside a clip"
        accept="image/png,image/webp,image/jpeg,video/mp4,application/json,.json"
        onFiles={open}
      />
      {error && <Failure {...error} />}
      {given && !wanted && (
        <Failure
          text={`It was drawn with the model “${given.receipt.model.id}”, which does not lie beside this page.`}
          hint="The command line repeats it: npx ertacache sample --from FILE."
        />
      )}
      {given && (
        <div class="repeat-desk">
          <section class="pair" aria-label="Pictures">
            <figure class="easel plain">
              <figcaption>
                <span class="title">{given.name}</span>
              </figcaption>
              {given.shown && given.isVideo ? (
                <video
                  class="picture"
                  src={given.shown}
                  aria-label={`the given file: ${given.receipt.prompt}`}
                  autoPlay={!matchMedia('(prefers-reduced-motion: reduce)').matches}
                  loop
                  muted
                  playsInline
                />
              ) : given.shown ? (
                <img class="picture" src={given.shown} alt={`the given file: ${given.receipt.prompt}`} />
              ) : (
                <p class="picture empty">a receipt without its picture</p>
              )}
              <Strip schedule={given.receipt.schedule} tone="plain" name="As it was drawn" />
            </figure>
            <figure class="easel strong" data-state={again?.result ? 'done' : 'drawing'}>
              <figcaption>
                <span class="title">Drawn again, here</span>
                {again?.result && (
                  <SavePicture
                    result={again.result}
                    prompt={again.result.receipt.prompt}
                    seed={Number(again.result.receipt.seed)}
                  />
                )}
              </figcaption>
              <Picture
                media={again?.media}
                fps={again?.result?.fps}
                stale={!again?.media}
                busy={!again?.result}
                label={`${given.receipt.prompt}, drawn again`}
              />
              <Strip
                schedule={(again?.schedule ?? '') + given.receipt.schedule.slice(again?.schedule.length ?? 0)}
                taken={again?.schedule.length ?? 0}
                tone="strong"
                name="Drawn again"
              />
              {again?.result && (
                <p class="facts">
                  <b>{seconds(again.result.seconds)}</b>
                  <span>
                    <b>{passes(again.result.forwards)}</b> forward passes
                  </span>
                </p>
              )}
            </figure>
          </section>
          <aside class="side" aria-label="How it was made">
            <Verdict given={given} again={again} />
            <ReceiptFacts receipt={given.receipt} />
            <a class="button" href={requestAddress(given.receipt)}>
              Go on from it
            </a>
          </aside>
        </div>
      )}
    </>
  );
}

/** Whether the two are the same, pixel by pixel. */
function Verdict({ given, again }: { readonly given: Given; readonly again: Again | undefined }) {
  const media = again?.result?.media;
  if (!media) return null;
  const { pixels, receipt } = given;
  if (!pixels || pixels.shape.join() !== media.shape.join()) return null;
  const { share, largest } = differenceOf(pixels, media);
  const { backend } = receipt;
  return (
    <div class="panel">
      <p class="verdict">
        {share === 0 ? (
          <b>The same picture, pixel by pixel.</b>
        ) : (
          <>
            <b>{decibels(likeness(pixels, media).psnr)} dB</b> near to the file: {(100 * share).toFixed(1)} % of pixels
            differ, by at most {largest} of 255.
          </>
        )}
      </p>
      {share > 0 && (
        <p class="note">It was drawn on {backend}; another one adds up in another order, and rounds otherwise.</p>
      )}
    </div>
  );
}

function ReceiptFacts({ receipt }: { readonly receipt: Receipt }) {
  const {
    prompt,
    negativePrompt,
    seed,
    steps,
    guidance,
    model: made,
    policy,
    forwards,
    backend,
    version,
    scale,
  } = receipt;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['Prompt', prompt],
    ['Not', negativePrompt],
    ['Seed', String(seed)],
    ['Model', `${made.id} ${made.hash.slice(0, 8)}`],
    ['Steps', `${steps}, ${passes(forwards)} forward passes`],
    ['Guidance', String(guidance)],
    ['Policy', policy ? `${policy.name} ${policy.hash.slice(0, 8)}` : 'none'],
    ['Enlarged', scale === 1 ? undefined : `${scale} times`],
    ['Drawn on', `${backend}, ertacache ${version}`],
  ];
  return (
    <dl class="receipt">
      {facts.map(
        ([name, value]) =>
          value !== undefined && (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

/** The screen on which the same is drawn, to be changed. */
function requestAddress({ prompt, seed, steps, guidance, forwards, model: { id } }: Receipt): string {
  return addressOf('draw', {
    model: id,
    prompt,
    seed: Number(seed),
    steps,
    guidance,
    passes: Math.round(forwards),
    schedule: undefined,
  });
}
