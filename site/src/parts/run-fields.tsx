import { BOUNDS } from '../state/link';
import { fitting, model, ofModel, settings } from '../state/model';
import { change } from '../state/route';
import { NumberField } from './number-field';

/** Guidance and steps of a run. */
export function RunFields() {
  const { steps, guidance } = settings.value;
  const shipped = [...new Set(ofModel.value.map(policy => policy.guidance))].sort((a, b) => a - b);
  return (
    <div class="fields">
      <NumberField
        label="Guidance"
        value={guidance}
        range={BOUNDS.guidance}
        step={0.5}
        onChange={value => change({ guidance: value })}
      />
      <NumberField
        label="Steps"
        value={steps}
        range={BOUNDS.steps}
        onChange={value => change({ steps: value, passes: undefined, schedule: undefined })}
      />
      {model.value && fitting.value.length === 0 && (
        <p class="note">
          Policies are here for {[...new Set(ofModel.value.map(policy => policy.steps))].join(', ')} steps with guidance{' '}
          {shipped.join(' and ')}.
        </p>
      )}
    </div>
  );
}
