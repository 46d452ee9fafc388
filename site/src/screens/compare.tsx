import { signal } from '@preact/signals';
import type { Compared, Comparison, Summary } from 'ertacache/browser';
import { useState } from 'preact/hooks';
import { AXES } from '../chart/axes';
import { Curves, Sample } from '../chart/curves';
import { announce } from '../parts/announcer';
import { CopyLink } from '../parts/copy-link';
import { DropZone } from '../parts/drop-zone';
import { Failure } from '../parts/failure';
import { decibels, nines, passes } from '../parts/format';
import { PlayIcon, SaveIcon } from '../parts/icons';
import { JobProgress } from '../parts/job-progress';
import { NumberField } from '../parts/number-field';
import { RunFields } from '../parts/run-fields';
import { saveFile } from '../parts/saving';
import { BOUNDS } from '../state/link';
import { failureOf, inOwnWorker, type JobState } from '../state/long-job';
import { METHODS, USUAL_METHODS } from '../state/methods';
import { fitting, model, modelName, policies, settings } from '../state/model';
import { change, link } from '../state/route';
import { knownExamples, subject } from '../state/subject';

/** What is shown: of a comparison that runs, that has ended, or of a file. */
interface Shown extends Compared {
  readonly json?: string | undefined;
}

// They outlive a look at another screen.
const job = signal<JobState<undefined>>({ state: 'idle' });
const shown = signal<Shown | undefined>(undefined);

/** Prompts and budgets to begin with. */
const FIRST_PROMPTS = 4;
const FIRST_BUDGETS = [15, 10, 8];

/** Methods beside each other, on pairs that the visitor chooses. */
export function Compare() {
  const { steps, guidance } = settings.value;
  const { seed } = subject.value;
  const examples = knownExamples(model.value?.vocabulary ?? []);
  const prompts = link.value.prompts ?? examples.slice(0, FIRST_PROMPTS);
  const methods = link.value.methods ?? USUAL_METHODS;
  const calibrated = fitting.value.map(policy => policy.forwards);
  const budgets =
    link.value.budgets ?? (calibrated.length > 0 ? FIRST_BUDGETS : [2, 3].map(share => Math.round(steps / share)));
  const offered = [...new Set([...calibrated, ...budgets])].filter(count => count < steps).sort((a, b) => b - a);
  const lines = prompts.map(text => text.trim()).filter(text => text !== '');
  const { state } = job.value;

  const run = async (): Promise<void> => {
    const controller = new AbortController();
    const name = modelName.peek();
    job.value = { state: 'running', progress: undefined, stop: () => controller.abort() };
    shown.value = undefined;
    const given = policies
      .peek()
      .filter(p => p.model === name && p.steps === steps && p.guidance === guidance && budgets.includes(p.forwards))
      // Of several with as many passes, the last is the visitor's own.
      .reduce((found, policy) => found.set(policy.forwards, policy.hash), new Map<number, string>());
    try {
      const whole = await inOwnWorker(name, ({ client }) =>
        client.compare(
          {
            methods: METHODS.map(m => m.name).filter(m => methods.includes(m)),
            budgets: [...budgets].sort((a, b) => b - a),
            pairs: lines.map((prompt, i) => ({ prompt, seed: seed + i })),
            steps,
            guidance,
            // What methods leave open is chosen on other pairs; as many, so that it takes no longer.
            calibrationPairs: Math.max(2, lines.length),
            policies: methods.includes('ertacache') ? [...given.values()] : [],
          },
          {
            signal: controller.signal,
            onProgress: progress => {
              if (job.peek().state === 'running') job.value = { ...job.peek(), progress } as JobState<undefined>;
            },
            onRow: compared => {
              shown.value = compared;
            },
          },
        ),
      );
      shown.value = whole;
      job.value = { state: 'done', result: undefined, stopped: false };
      announce('The comparison is complete.');
    } catch (error) {
      job.value = controller.signal.aborted
        ? { state: 'done', result: undefined, stopped: true }
        : { state: 'failed', ...failureOf(error) };
    }
  };

  return (
    <>
      <h1>Which method keeps the picture?</h1>
      <p class="lede">
        Every method draws the same pairs of a prompt and a seed with as many forward passes; what is measured is how
        near it comes to the picture of all {steps} steps.
      </p>
      <div class="compare-desk">
        <form
          id="plan"
          class="plan"
          onSubmit={event => {
            event.preventDefault();
            void run();
          }}
        >
          <fieldset>
            <legend>Methods</legend>
            {METHODS.map(({ name, title, summary }, i) => (
              <label key={name} class="method">
                <input
                  type="checkbox"
                  checked={methods.includes(name)}
                  onChange={event =>
                    change({
                      methods: event.currentTarget.checked ? [...methods, name] : methods.filter(m => m !== name),
                    })
                  }
                />
                <Sample method={name} place={i} />
                <span>
                  {title}
                  <small>{summary}</small>
                </span>
              </label>
            ))}
          </fieldset>
          <fieldset>
            <legend>Forward passes of {steps}</legend>
            <div class="buttons">
              {offered.map(count => (
                <button
                  key={count}
                  type="button"
                  class="toggle"
                  aria-pressed={budgets.includes(count)}
                  onClick={() =>
                    change({
                      budgets: budgets.includes(count) ? budgets.filter(b => b !== count) : [...budgets, count],
                    })
                  }
                >
                  {count}
                </button>
              ))}
              <AddBudget steps={steps} onAdd={count => change({ budgets: [...new Set([...budgets, count])] })} />
            </div>
            {methods.includes('ertacache') && budgets.some(count => !calibrated.includes(count)) && (
              <p class="note">
                ERTACache has a policy for {calibrated.join(', ') || 'none'} of these; for others it is calibrated
                first, which takes longest.
              </p>
            )}
          </fieldset>
          <div class="field">
            <label for="prompts">Prompts, one a line</label>
            <textarea
              id="prompts"
              rows={Math.min(10, Math.max(4, prompts.length + 1))}
              value={prompts.join('\n')}
              onInput={event => change({ prompts: event.currentTarget.value.split('\n').slice(0, BOUNDS.pairs[1]) })}
            />
            <div class="buttons">
              <button
                type="button"
                class="quiet"
                onClick={() => change({ prompts: shuffled(model.value?.prompts ?? examples).slice(0, 8) })}
              >
                8 at random
              </button>
            </div>
          </div>
          <NumberField
            label="Seed of the first"
            value={seed}
            range={BOUNDS.seed}
            onChange={value => change({ seed: value })}
          />
          <RunFields />
          <CopyLink />
        </form>
        <section class="outcome" aria-label="Result">
          {job.value.state !== 'running' && (
            <div class="start">
              <button
                type="submit"
                form="plan"
                class="main"
                disabled={!model.value || lines.length === 0 || methods.length === 0 || budgets.length === 0}
              >
                <PlayIcon /> Compare
              </button>
              <p class="note">
                {counted(methods.length, 'method')}, {counted(budgets.length, 'number')} of passes,{' '}
                {counted(lines.length, 'pair')}
              </p>
            </div>
          )}
          {job.value.state === 'running' && (
            <JobProgress name="Comparing" progress={job.value.progress} onStop={job.value.stop} />
          )}
          {job.value.state === 'failed' && <Failure text={job.value.text} hint={job.value.hint} />}
          {shown.value && shown.value.rows.length > 0 ? (
            <Outcome of={shown.value} running={state === 'running'} />
          ) : (
            state !== 'running' && <OpenComparison />
          )}
        </section>
      </div>
    </>
  );
}

function AddBudget({ steps, onAdd }: { readonly steps: number; readonly onAdd: (count: number) => void }) {
  const [text, setText] = useState('');
  const count = Number(text);
  const valid = Number.isInteger(count) && count >= 2 && count < steps;
  return (
    <span class="add">
      <input
        type="number"
        aria-label="Another number of forward passes"
        min={2}
        max={steps - 1}
        placeholder="other"
        value={text}
        onInput={event => setText(event.currentTarget.value)}
        onKeyDown={event => {
          if (event.key !== 'Enter') return;
          event.preventDefault();
          if (valid) onAdd(count);
          setText('');
        }}
        onBlur={() => {
          if (valid) onAdd(count);
          setText('');
        }}
      />
    </span>
  );
}

/** The curves and the table of a comparison, as far as it is. */
function Outcome({ of: { rows, comparison, json }, running }: { readonly of: Shown; readonly running: boolean }) {
  const [axis, setAxis] = useState<keyof typeof AXES>('psnr');
  const { methods, evaluation, steps, model: compared } = comparison.request;
  const best = [...rows].sort((a, b) => b.psnr.mean - a.psnr.mean)[0];
  return (
    <>
      <div class="outcome-head">
        <h2>
          {compared.id}, {evaluation.length} {evaluation.length === 1 ? 'pair' : 'pairs'}
        </h2>
        <fieldset class="switch">
          <legend class="hidden">Likeness</legend>
          {(['psnr', 'ssim'] as const).map(name => (
            <label key={name}>
              <input type="radio" name="axis" checked={axis === name} onChange={() => setAxis(name)} />
              <span>{name.toUpperCase()}</span>
            </label>
          ))}
        </fieldset>
      </div>
      <Curves
        rows={rows}
        methods={methods}
        axis={AXES[axis]}
        label={`${AXES[axis].title} against forward passes; the numbers are in the table below. Best so far is ${best?.title} with ${best?.budget}.`}
      />
      <ul class="chart-legend">
        {methods.map((method, i) => (
          <li key={method}>
            <Sample method={method} place={i} /> {titleOf(comparison, method)}
          </li>
        ))}
      </ul>
      <Numbers rows={rows} steps={steps} />
      {!running && (
        <div class="buttons">
          {json && (
            <button type="button" onClick={() => saveFile('comparison.json', json, 'application/json')}>
              <SaveIcon /> Save comparison.json
            </button>
          )}
          <button
            type="button"
            class="quiet"
            onClick={() => {
              shown.value = undefined;
            }}
          >
            Open another
          </button>
        </div>
      )}
    </>
  );
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const titleOf = (comparison: Comparison, method: string): string =>
  comparison.methods.find(m => m.name === method)?.title ?? method;

function Numbers({ rows, steps }: { readonly rows: readonly Summary[]; readonly steps: number }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <section class="scroll" aria-label="All numbers" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">method</th>
            <th scope="col">passes of {steps}</th>
            <th scope="col">PSNR, dB</th>
            <th scope="col">worst</th>
            <th scope="col">SSIM</th>
            <th scope="col">× as fast</th>
          </tr>
        </thead>
        <tbody>
          {[...rows]
            .sort((a, b) => b.budget - a.budget || b.psnr.mean - a.psnr.mean)
            .map(row => (
              <tr key={`${row.method} ${row.budget}`} class={row.method === 'ertacache' ? 'strong' : ''}>
                <th scope="row">{row.title}</th>
                <td>{passes(row.forwards)}</td>
                <td>
                  <b>{decibels(row.psnr.mean)}</b>
                </td>
                <td>{decibels(row.psnr.worst)}</td>
                <td>{nines(row.ssim.mean)}</td>
                <td>{row.speedup === undefined ? '–' : row.speedup.toFixed(2)}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </section>
  );
}

/** Before there is a result: one that was saved can be opened. */
function OpenComparison() {
  const [error, setError] = useState<ReturnType<typeof failureOf> | undefined>(undefined);
  return (
    <div class="nothing-yet">
      <p>
        The curves grow here while the methods draw. Pictures can be drawn on the other screens meanwhile. Or open the{' '}
        <code>comparison.json</code> of an earlier comparison, also of the command line:
      </p>
      <DropZone
        label="comparison.json, from this page or from the folder of ertacache compare"
        accept="application/json,.json"
        onFiles={async ([file]) => {
          if (!file) return;
          setError(undefined);
          try {
            const { openComparison } = await import('../chart/open-comparison');
            const json = await file.text();
            shown.value = { ...openComparison(json, file.name), json };
          } catch (caught) {
            setError(failureOf(caught));
          }
        }}
      />
      {error && <Failure {...error} />}
    </div>
  );
}

function shuffled(texts: readonly string[]): string[] {
  return texts
    .map(text => ({ text, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ text }) => text);
}
