import { useEffect } from 'preact/hooks';
import type { Choice } from '../engine/types';
import { announce } from '../parts/announcer';
import { CopyLink } from '../parts/copy-link';
import { Easel } from '../parts/easel';
import { decibels } from '../parts/format';
import { Learn } from '../parts/learn';
import { Likeness, verdict } from '../parts/likeness';
import { RunFields } from '../parts/run-fields';
import { SavePicture } from '../parts/save-picture';
import { StripEditor } from '../parts/strip-editor';
import { SubjectRow } from '../parts/subject-row';
import { fitting, settings } from '../state/model';
import { change, link } from '../state/route';
import { evenSchedule, fullSchedule, passesOf } from '../state/schedules';
import { orderOf, plannedSchedule } from '../state/subject';
import { useDrawings, useLikeness, useShown } from '../state/use-drawings';

/** A schedule made by hand, beside the calibrated one with as many passes and the picture of all steps. */
export function Schedule() {
  const { steps, passes } = settings.value;
  const given = link.value.schedule;
  const schedule = given?.length === steps ? given : evenSchedule(steps, Math.max(2, passes));
  const own = passesOf(schedule);
  // The calibrated one that takes as many passes, or the next that takes fewer.
  const policy = fitting.value.find(candidate => candidate.forwards <= own) ?? fitting.value.at(-1);
  const rival: Choice = policy && own < steps ? { by: 'policy', hash: policy.hash } : { by: 'none' };

  const plainOrder = orderOf({ by: 'none' });
  const ownOrder = orderOf(own === steps ? { by: 'none' } : { by: 'schedule', schedule });
  const rivalOrder = orderOf(rival);
  useDrawings([ownOrder, plainOrder, rivalOrder]);
  const plain = useShown(plainOrder);
  const mine = useShown(ownOrder);
  const theirs = useShown(rivalOrder);
  const likeness = useLikeness(plain, mine);
  const rivalLikeness = useLikeness(plain, theirs);

  const put = (text: string): void => change({ schedule: text, passes: passesOf(text) });

  useEffect(() => {
    if (likeness) {
      announce(
        `Your schedule: ${own} of ${steps} passes, ${decibels(likeness.psnr)} decibels, ${verdict(likeness.psnr)}.`,
      );
    }
  }, [likeness]);

  return (
    <>
      <h1>Which steps would you skip?</h1>
      <SubjectRow />
      <section class="editor" aria-label="Your schedule">
        <div class="editor-head">
          <p>
            <b>{own}</b> of {steps} steps computed
          </p>
          <div class="buttons">
            <span class="note">Begin with</span>
            <button type="button" onClick={() => put(fullSchedule(steps))}>
              all
            </button>
            <button type="button" onClick={() => put(evenSchedule(steps, Math.ceil(steps / 2)))}>
              every second
            </button>
            <button type="button" onClick={() => put(evenSchedule(steps, Math.max(2, Math.ceil(steps / 3))))}>
              every third
            </button>
            {fitting.value.length > 0 && <span class="note">or calibrated</span>}
            {fitting.value.map(({ hash, schedule: calibrated, forwards: count }) => (
              <button
                key={hash}
                type="button"
                aria-label={`calibrated, ${count} passes`}
                onClick={() => put(calibrated)}
              >
                {count}
              </button>
            ))}
          </div>
        </div>
        <StripEditor schedule={schedule} onChange={put} />
        <p class="note ends">
          <span>noise</span>
          <span>click a step, or drag across several: computed or reused</span>
          <span>picture</span>
        </p>
      </section>
      <div class="triple">
        <div>
          <Easel
            title="Your schedule"
            name="with your schedule"
            order={ownOrder}
            drawing={mine}
            planned={schedule}
            tone="strong"
          >
            <SavePicture result={mine.result} prompt={ownOrder.prompt} seed={ownOrder.seed} />
          </Easel>
          <Likeness psnr={likeness?.psnr} ssim={likeness?.ssim} />
        </div>
        {rival.by === 'policy' && (
          <div>
            <Easel
              title={`Calibrated, ${policy?.forwards} passes`}
              name="with the calibrated policy"
              order={rivalOrder}
              drawing={theirs}
              planned={plannedSchedule(rival, steps)}
              tone="strong"
            >
              <SavePicture result={theirs.result} prompt={rivalOrder.prompt} seed={rivalOrder.seed} />
            </Easel>
            <Likeness psnr={rivalLikeness?.psnr} ssim={rivalLikeness?.ssim} />
          </div>
        )}
        <div>
          <Easel
            title="Every step computed"
            name="every step computed"
            order={plainOrder}
            drawing={plain}
            planned={fullSchedule(steps)}
            tone="plain"
          >
            <SavePicture result={plain.result} prompt={plainOrder.prompt} seed={plainOrder.seed} />
          </Easel>
          <p class="note">What both are compared with.</p>
        </div>
      </div>
      <div class="below">
        <Learn steps={steps} />
        <div class="panel">
          <p class="note">
            Your schedule repeats the network’s last answer at reused steps. The calibrated one also corrects it, with
            coefficients that were fitted to the model: <b>which</b> steps are reused matters, and so does <b>how</b>.
          </p>
          <RunFields />
          <CopyLink />
        </div>
      </div>
    </>
  );
}
