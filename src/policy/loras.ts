import { note } from '../io/notes';
import type { PolicyData, PolicyUse } from './data';
import type { PolicyLora } from './lora';

/** What identifies the LoRAs of a model; nothing where there are none. */
export function lorasOf({ loras }: { readonly loras?: readonly PolicyLora[] }): { loras?: PolicyLora[] } {
  if (!loras) return {};
  return { loras: loras.map(({ sha256, scale, component }) => ({ sha256, scale, ...(component && { component }) })) };
}

/** Whether a policy was calibrated with the LoRAs that a run has, in their order. */
export function hasLorasOf({ model }: PolicyData, use: PolicyUse): boolean {
  const [ours, theirs] = [model.loras ?? [], use.model.loras ?? []];
  return (
    ours.length === theirs.length &&
    ours.every(({ sha256, scale, component }, i) => {
      const other = theirs[i];
      return sha256 === other?.sha256 && scale === other.scale && component === other.component;
    })
  );
}

/** Says that a policy was calibrated with other LoRAs: it is followed, but what it was measured at no longer holds. */
export function noteOtherLoras(policy: PolicyData, use: PolicyUse): void {
  if (hasLorasOf(policy, use)) return;
  const with_ = (loras: readonly unknown[] = []): string =>
    loras.length === 0 ? 'without a LoRA' : loras.length === 1 ? 'with a LoRA' : `with ${loras.length} LoRAs`;
  const [then, now] = [with_(policy.model.loras), with_(use.model.loras)];
  note(
    then === now
      ? `The policy was calibrated for ${use.model.id} with other LoRAs, or at other scales: pictures may be less like the uncached ones.`
      : `The policy was calibrated for ${use.model.id} ${then}, and this run is ${now}: pictures may be less like the uncached ones.`,
  );
}
