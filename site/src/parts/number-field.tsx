import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

interface NumberFieldProps {
  readonly label: string;
  readonly value: number;
  readonly range: readonly [least: number, most: number];
  readonly step?: number;
  readonly onChange: (value: number) => void;
  /** What stands beside the number. */
  readonly children?: ComponentChildren;
  readonly note?: ComponentChildren;
}

/** A number within bounds; what is out of bounds or no number changes nothing. */
export function NumberField({
  label,
  value,
  range: [least, most],
  step = 1,
  onChange,
  children,
  note,
}: NumberFieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="with-button">
        <input
          id={id}
          type="number"
          inputMode={step === 1 ? 'numeric' : 'decimal'}
          min={least}
          max={most}
          step={step}
          value={value}
          onInput={event => {
            const { valueAsNumber: given, validity } = event.currentTarget;
            if (Number.isFinite(given) && validity.valid) onChange(given);
          }}
          onBlur={event => {
            event.currentTarget.value = String(value);
          }}
        />
        {children}
      </div>
      {note && <p class="note">{note}</p>}
    </div>
  );
}
