import { signal } from '@preact/signals';
import { useState } from 'preact/hooks';
import { addPolicy, policyFiles } from '../engine/engine';
import type { PolicyCard } from '../engine/types';
import { announce } from '../parts/announcer';
import { CopyLink } from '../parts/copy-link';
import { DropZone } from '../parts/drop-zone';
import { Failure } from '../parts/failure';
import { decibels, duration } from '../parts/format';
import { PlayIcon, SaveIcon } from '../parts/icons';
import { JobProgress } from '../parts/job-progress';
import { verdict } from '../parts/likeness';
import { NumberField } from '../parts/number-field';
import { RunFields } from '../parts/run-fields';
import { saveFile } from '../parts/saving';
import { Strip } from '../parts/strip';
import { failureOf, inOwnWorker, type JobState, namedFiles } from '../state/long-job';
import { MODELS, model, modelName, ofModel, policies, settings } from '../state/model';
import { addressOf, change, link } from '../state/route';

/** A policy that was made here. */
interface MadeHere {
  readonly policy: PolicyCard;
  readonly seconds: number;
}

// It outlives a look at another screen, and at another model.
const job = signal<JobState<MadeHere>>({ state: 'idle' });

/** Pairs to calibrate on, unless the visitor chooses; half as many others measure the result. */
const USUAL_PAIRS = 8;

/** Finds, on this page, which steps can be reused and how to correct them. */
export function Calibrate() {
  const { steps, guidance, passes } = settings.value;
  const pairs = link.value.pairs ?? USUAL_PAIRS;
  const budget = Math.min(passes, steps - 1);
  const { state } = job.value;

  const run = async (): Promise<void> => {
    const controller = new AbortController();
    const name = modelName.peek();
    job.value = { state: 'running', progress: undefined, stop: () => controller.abort() };
    try {
      const { files, seconds } = await inOwnWorker(name, ({ client }) =>
        client.calibrate(
          { schedule: { computed: budget }, steps, guidance, pairs, heldOut: Math.max(2, Math.ceil(pairs / 2)) },
          {
            signal: controller.signal,
            onProgress: progress => {
              if (job.peek().state === 'running') job.value = { ...job.peek(), progress } as JobState<MadeHere>;
            },
          },
        ),
      );
      const policy = await addPolicy(files, name);
      keep(policy);
      job.value = { state: 'done', result: { policy, seconds }, stopped: false };
      announce('The policy is calibrated.');
    } catch (error) {
      job.value = controller.signal.aborted ? { state: 'idle' } : { state: 'failed', ...failureOf(error) };
    }
  };

  return (
    <>
      <h1>Calibrate a policy, here</h1>
      <p class="lede">
        The model draws a few pictures with every step computed. Then the schedule is searched that loses least, and
        coefficients are fitted that correct the reused answers. The result is a small file, a policy, which the command
        line and the library take too.
      </p>
      <div class="compare-desk">
        <form
          class="plan"
          onSubmit={event => {
            event.preventDefault();
            void run();
          }}
        >
          <NumberField
            label={`Forward passes of ${steps}`}
            value={budget}
            range={[2, steps - 1]}
            onChange={value => change({ passes: value })}
          />
          <RunFields />
          <NumberField
            label="Pairs of prompt and seed"
            value={pairs}
            range={[2, 64]}
            onChange={value => change({ pairs: value })}
            note="Taken from prompts that the model draws well. More take longer and make it surer; half as many others then measure the result."
          />
          <button type="submit" class="main" disabled={!model.value || state === 'running'}>
            <PlayIcon /> Calibrate
          </button>
          <CopyLink />
        </form>
        <section class="outcome" aria-label="Policies">
          {job.value.state === 'running' && (
            <JobProgress name="Calibrating" progress={job.value.progress} onStop={job.value.stop} />
          )}
          {job.value.state === 'failed' && <Failure text={job.value.text} hint={job.value.hint} />}
          {job.value.state === 'done' && <Made result={job.value.result} />}
          <h2>Policies of this model, here</h2>
          <Shelf />
          <OpenPolicy />
        </section>
      </div>
    </>
  );
}

/** Adds a policy to those of the page; one of the same hash is replaced. */
function keep(policy: PolicyCard): void {
  policies.value = [...policies.value.filter(({ hash }) => hash !== policy.hash), policy];
}

function Made({ result: { policy, seconds } }: { readonly result: MadeHere }) {
  const found = policy.measured.heldOut ?? policy.measured.calibration;
  return (
    <div class="made">
      <Strip schedule={policy.schedule} tone="strong" name="The new schedule" />
      <p>
        {found && (
          <>
            <b>{decibels(found.psnr.mean)} dB</b> on {found.pairs} pairs that it has not seen,{' '}
            {verdict(found.psnr.mean)}; the worst of them {decibels(found.psnr.min)} dB.{' '}
          </>
        )}
        Made in {duration(seconds)}
        {policy.model !== modelName.value && (
          <> for {MODELS.find(({ id }) => id === policy.model)?.text.toLowerCase()}</>
        )}
        .
      </p>
      <div class="buttons">
        <a class="button" href={drawAddress(policy)}>
          Draw with it
        </a>
        <SavePolicy policy={policy} />
      </div>
    </div>
  );
}

const drawAddress = ({ model: made, forwards, steps, guidance }: PolicyCard): string =>
  addressOf('draw', { model: made, passes: forwards, steps, guidance, schedule: undefined });

/** All policies of the model that are here. */
function Shelf() {
  const sorted = [...ofModel.value].sort(
    (a, b) => Number(b.own) - Number(a.own) || b.guidance - a.guidance || b.steps - a.steps || b.forwards - a.forwards,
  );
  if (sorted.length === 0) return <p class="note">None yet.</p>;
  return (
    <ul class="shelf">
      {sorted.map(policy => {
        const found = policy.measured.heldOut ?? policy.measured.calibration;
        return (
          <li key={policy.hash}>
            <a href={drawAddress(policy)}>
              <b>{policy.forwards}</b> of {policy.steps}, guidance {policy.guidance}
            </a>
            <Strip schedule={policy.schedule} tone={policy.own ? 'strong' : 'plain'} name="Schedule" />
            <span class="note">
              {found ? `${decibels(found.psnr.mean)} dB` : 'not measured'}
              {policy.own && ', yours'}
            </span>
            <SavePolicy policy={policy} short />
          </li>
        );
      })}
    </ul>
  );
}

function SavePolicy({ policy, short = false }: { readonly policy: PolicyCard; readonly short?: boolean }) {
  const [error, setError] = useState<ReturnType<typeof failureOf> | undefined>(undefined);
  const save = async (): Promise<void> => {
    setError(undefined);
    try {
      for (const { name, bytes, type } of namedFiles(await policyFiles(policy.hash, policy.model)))
        saveFile(name, bytes, type);
    } catch (caught) {
      setError(failureOf(caught));
    }
  };
  return (
    <>
      {short ? (
        <button type="button" class="quiet round" aria-label="Save the policy's files" onClick={save}>
          <SaveIcon />
        </button>
      ) : (
        <button type="button" onClick={save}>
          <SaveIcon /> Save its files
        </button>
      )}
      {error && <Failure {...error} />}
    </>
  );
}

/** Takes the files of a policy that was made elsewhere. */
function OpenPolicy() {
  const [error, setError] = useState<ReturnType<typeof failureOf> | undefined>(undefined);
  const open = async (files: readonly File[]): Promise<void> => {
    setError(undefined);
    try {
      const json = files.find(file => file.name.endsWith('.json'));
      const coefficients = files.find(file => file.name.endsWith('.safetensors'));
      if (!json) throw new Error('A policy is a .json file, with its .safetensors file beside it.');
      if (files.some(file => file.size > MOST_BYTES)) throw new Error('These files are larger than policies are.');
      const policy = await addPolicy(
        {
          name: json.name.replace(/\.json$/, ''),
          json: await json.text(),
          ...(coefficients && { coefficients: new Uint8Array(await coefficients.arrayBuffer()) }),
        },
        modelName.peek(),
      );
      keep(policy);
      announce('The policy is here.');
      location.hash = drawAddress(policy);
    } catch (caught) {
      setError(failureOf(caught));
    }
  };
  return (
    <>
      <DropZone
        label="Both files of a policy that ertacache calibrate wrote: NAME.json and NAME.safetensors"
        accept=".json,.safetensors"
        multiple
        onFiles={open}
      />
      {error && <Failure {...error} />}
    </>
  );
}

const MOST_BYTES = 64 * 2 ** 20;
