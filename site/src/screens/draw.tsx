import { useEffect, useMemo } from 'preact/hooks';
import { announce } from '../parts/announcer';
import { CopyLink } from '../parts/copy-link';
import { differenceOf } from '../parts/difference';
import { Easel } from '../parts/easel';
import { decibels, passes as passesText } from '../parts/format';
import { Learn } from '../parts/learn';
import { Likeness, verdict } from '../parts/likeness';
import { PassesSlider } from '../parts/passes-slider';
import { Picture } from '../parts/picture';
import { RunFields } from '../parts/run-fields';
import { SavePicture } from '../parts/save-picture';
import { SubjectRow } from '../parts/subject-row';
import { fitting, model, settings } from '../state/model';
import { addressOf, change, link } from '../state/route';
import { choiceOf, orderOf, plannedSchedule } from '../state/subject';
import { useDrawings, useLikeness, useShown } from '../state/use-drawings';

/** A picture with every step computed beside the same with few, and how near they are. */
export function Draw() {
  const { steps, passes } = settings.value;
  const choice = choiceOf(passes);
  const plainOrder = orderOf({ by: 'none' });
  const order = orderOf(choice);
  // The cached one first: it is there sooner.
  useDrawings(choice.by === 'none' ? [plainOrder] : [order, plainOrder]);
  const plain = useShown(plainOrder);
  const cached = useShown(order);
  const likeness = useLikeness(plain, cached);
  const what = model.value?.kind === 'clip' ? 'clip' : 'picture';

  useEffect(() => {
    if (likeness && cached.forwards !== undefined) {
      const { psnr } = likeness;
      announce(
        `Drawn with ${passesText(cached.forwards)} of ${steps} forward passes: ${decibels(psnr)} decibels, ${verdict(psnr)}.`,
      );
    }
  }, [likeness]);

  return (
    <>
      <h1>How few forward passes does a {what} need?</h1>
      <SubjectRow />
      <div class="desk">
        <section class="stage" aria-label="Pictures">
          <PassesSlider
            steps={steps}
            passes={passes}
            calibrated={fitting.value.map(policy => policy.forwards)}
            onChange={value => change({ passes: value })}
          />
          {choice.by === 'schedule' && model.value && (
            <p class="note hint">
              No policy is calibrated for {passes} passes with these settings: the computed steps are spread evenly, and
              nothing is corrected. <a href={addressOf('calibrate', { passes })}>Calibrate one here</a>
              {fitting.value.length > 0 && ', or take one of the marks'}.
            </p>
          )}
          <div class={`pair${link.value.difference ? ' three' : ''}`}>
            <Easel
              title="Every step computed"
              name="every step computed"
              order={plainOrder}
              drawing={plain}
              planned={plannedSchedule({ by: 'none' }, steps)}
              tone="plain"
            >
              <SavePicture result={plain.result} prompt={plainOrder.prompt} seed={plainOrder.seed} />
            </Easel>
            <Easel
              title={choice.by === 'none' ? 'The same: nothing to reuse' : 'With the step cache'}
              name="with the step cache"
              order={order}
              drawing={cached}
              planned={plannedSchedule(choice, steps)}
              tone="strong"
            >
              <SavePicture result={cached.result} prompt={order.prompt} seed={order.seed} />
            </Easel>
            {link.value.difference && <DifferenceEasel plain={plain} cached={cached} />}
          </div>
        </section>
        <aside class="side" aria-label="Results and settings">
          <div class="panel results">
            <p class="figure">
              <b>{speed(plain.seconds, cached.seconds)}</b>
              <small>as fast</small>
            </p>
            <Likeness psnr={likeness?.psnr} ssim={likeness?.ssim} />
            <label class="check">
              <input
                type="checkbox"
                checked={link.value.difference ?? false}
                onChange={event => change({ difference: event.currentTarget.checked || undefined })}
              />
              Show the difference, enlarged
            </label>
          </div>
          <div class="panel">
            <h2>What is a step cache?</h2>
            <Learn steps={steps} />
          </div>
          <div class="panel">
            <h2>Settings</h2>
            <RunFields />
          </div>
          <CopyLink />
        </aside>
      </div>
    </>
  );
}

type Shown = ReturnType<typeof useShown>;

function DifferenceEasel({ plain, cached }: { readonly plain: Shown; readonly cached: Shown }) {
  const both = plain.state === 'done' && cached.state === 'done' ? [plain.media, cached.media] : [];
  const [a, b] = both;
  const found = useMemo(() => (a && b ? differenceOf(a, b) : undefined), [a, b]);
  return (
    <figure class="easel difference">
      <figcaption>
        <span class="title">Difference{found && found.largest > 0 ? ` × ${found.gain}` : ''}</span>
      </figcaption>
      <Picture
        media={found?.media}
        fps={plain.result?.fps}
        stale={!found}
        label="the difference of the two pictures, enlarged"
      />
      <p class="facts">
        {found &&
          (found.largest === 0 ? (
            <span>every pixel is the same</span>
          ) : (
            <>
              <span>
                <b>{(100 * found.share).toFixed(found.share < 0.1 ? 1 : 0)} %</b> of pixels differ{' '}
              </span>
              <span>
                by at most <b>{found.largest}</b> of 255
              </span>
            </>
          ))}
      </p>
    </figure>
  );
}

/** How many times as fast, of drawings that were timed. */
function speed(plain: number | undefined, cached: number | undefined): string {
  return plain === undefined || cached === undefined ? '–' : `${(plain / cached).toFixed(2)}×`;
}
