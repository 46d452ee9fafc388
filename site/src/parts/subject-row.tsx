import { useState } from 'preact/hooks';
import { BOUNDS } from '../state/link';
import { model } from '../state/model';
import { change } from '../state/route';
import { knownExamples, subject } from '../state/subject';
import { DiceIcon } from './icons';
import { NumberField } from './number-field';
import { PromptField } from './prompt-field';

/** Examples shown at a time. */
const SHOWN = 6;

/** What is drawn: prompt and seed, with examples to begin with. */
export function SubjectRow() {
  const { prompt, seed } = subject.value;
  const words = model.value?.vocabulary ?? [];
  const examples = knownExamples(words);
  const [from, setFrom] = useState(1);
  const shown = Array.from(
    { length: Math.min(SHOWN, examples.length) },
    (_, i) => examples[(from + i) % examples.length]!,
  );
  return (
    <div class="subject">
      <PromptField value={prompt} words={words} onChange={text => change({ prompt: text })} />
      <NumberField label="Seed" value={seed} range={BOUNDS.seed} onChange={value => change({ seed: value })}>
        <button
          type="button"
          class="quiet round"
          aria-label="Another seed"
          title="Another seed"
          onClick={() => change({ seed: Math.floor(Math.random() * 10_000) })}
        >
          <DiceIcon />
        </button>
      </NumberField>
      <ul class="examples" aria-label="Examples">
        {shown.map(text => (
          <li key={text}>
            <button type="button" aria-pressed={text === prompt} onClick={() => change({ prompt: text })}>
              {text}
            </button>
          </li>
        ))}
        <li>
          <button type="button" class="quiet" onClick={() => setFrom((from + SHOWN) % examples.length)}>
            others
          </button>
        </li>
      </ul>
    </div>
  );
}
