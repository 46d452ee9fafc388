import { useId, useRef, useState } from 'preact/hooks';

interface PromptFieldProps {
  readonly value: string;
  /** Every word that the model knows; none while that is not known. */
  readonly words: readonly string[];
  readonly onChange: (prompt: string) => void;
}

/** Suggestions shown at a time. */
const SHOWN = 7;

/** Words that carry nothing for the model and are dropped without a word. */
const SMALL = new Set(['a', 'an', 'and', 'for', 'in', 'of', 'on', 'or', 's', 'the', 'to', 'with']);

/** The words of a prompt, as the model reads them. */
const wordsOf = (prompt: string): string[] => prompt.toLowerCase().match(/[a-z0-9]+/g) ?? [];

/** A prompt, with words of the model's own vocabulary to complete what is being typed. */
export function PromptField({ value, words, onChange }: PromptFieldProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);

  const begun = /[a-z0-9]+$/i.exec(value)?.[0].toLowerCase() ?? '';
  const completions =
    begun === '' ? [] : words.filter(word => word.startsWith(begun) && word !== begun).slice(0, SHOWN);
  const shown = open && completions.length > 0;
  const unknown =
    words.length === 0 ? [] : [...new Set(wordsOf(value))].filter(word => !SMALL.has(word) && !words.includes(word));

  const take = (word: string): void => {
    onChange(`${value.slice(0, value.length - begun.length)}${word}`);
    setAt(-1);
    setOpen(false);
    input.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') setOpen(false);
    if (!shown) return;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      const places = completions.length + 1;
      // One place more than there are words: none of them.
      setAt(((at + 1 + (event.key === 'ArrowDown' ? 1 : -1) + places) % places) - 1);
    }
    const word = completions[at];
    if (event.key === 'Enter' && word !== undefined) {
      event.preventDefault();
      take(word);
    }
  };

  return (
    <div class="prompt">
      <label for={id} class="hidden">
        Prompt
      </label>
      <input
        ref={input}
        id={id}
        type="text"
        role="combobox"
        aria-autocomplete="list"
        aria-expanded={shown}
        aria-controls={`${id}-words`}
        aria-activedescendant={shown && at >= 0 ? `${id}-${at}` : undefined}
        aria-describedby={`${id}-unknown`}
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        maxLength={300}
        placeholder="what to draw"
        value={value}
        onInput={event => {
          onChange(event.currentTarget.value);
          setOpen(true);
          setAt(-1);
        }}
        onKeyDown={onKeyDown}
        onBlur={() => setOpen(false)}
      />
      <div class="words" id={`${id}-words`} role="listbox" aria-label="Words that the model knows" hidden={!shown}>
        {completions.map((word, i) => (
          // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the input, as comboboxes have it
          // biome-ignore lint/a11y/useKeyWithClickEvents: the input has the keys
          <div
            key={word}
            id={`${id}-${i}`}
            role="option"
            aria-selected={i === at}
            onPointerDown={event => event.preventDefault()}
            onClick={() => take(word)}
          >
            <b>{begun}</b>
            {word.slice(begun.length)}
          </div>
        ))}
      </div>
      <p class="note warn" id={`${id}-unknown`}>
        {unknown.length > 0 && `The model does not know “${unknown.join('”, “')}”, and draws without.`}
      </p>
    </div>
  );
}
