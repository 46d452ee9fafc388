import { computed, effect, signal } from '@preact/signals';
import type { LoadedModel } from 'ertacache/browser';
import { loadModel } from '../engine/engine';
import type { PolicyCard } from '../engine/types';
import { link } from './route';

/** The models that lie beside the page, and what is usual for them until they are loaded and say it themselves. */
export const MODELS = [
  { id: 'fluent-emoji', text: 'Pictures', steps: 30, guidance: 3, passes: 15 },
  { id: 'fluent-emoji-video', text: 'Clips', steps: 30, guidance: 2, passes: 15 },
] as const;

/** The model that the address names. */
const place = computed(() => MODELS.find(({ id }) => id === link.value.model) ?? MODELS[0]);
export const modelName = computed(() => place.value.id);

export type ModelState =
  | { readonly state: 'loading'; readonly done: number; readonly total: number }
  | { readonly state: 'failed'; readonly error: string; readonly hint?: string | undefined }
  | { readonly state: 'ready'; readonly card: LoadedModel };

/** The model that is loaded, or how far it is. */
export const loaded = signal<ModelState>({ state: 'loading', done: 0, total: 0 });

/** The loaded model, where it is. */
export const model = computed(() => (loaded.value.state === 'ready' ? loaded.value.card : undefined));

/** Policies that lie beside the loaded model, and after them those of all models that were made or opened here. */
export const policies = signal<readonly PolicyCard[]>([]);

const attempt = signal(0);
/** Loads once more what failed. */
export const reload = (): void => {
  attempt.value++;
};

effect(() => {
  const name = modelName.value;
  void attempt.value;
  let current = true;
  const set = (state: ModelState): void => {
    if (current) loaded.value = state;
  };
  set({ state: 'loading', done: 0, total: 0 });
  loadModel(name, (done, total) => set({ state: 'loading', done, total })).then(
    ({ card, policies: found }) => {
      if (!current) return;
      const own = policies.peek().filter(policy => policy.own);
      policies.value = [...found.filter(({ hash }) => own.every(policy => policy.hash !== hash)), ...own];
      set({ state: 'ready', card });
    },
    (error: unknown) => {
      const { message, hint } = error as { message?: string; hint?: string };
      set({ state: 'failed', error: message ?? String(error), hint });
    },
  );
  return () => {
    current = false;
  };
});

/** Steps, guidance and forward passes: those of the address, else as usual for the model. */
export const settings = computed(() => {
  const usual = place.value;
  const { steps = usual.steps, guidance = usual.guidance } = link.value;
  const passes = link.value.passes ?? Math.round((usual.passes / usual.steps) * steps);
  return { steps, guidance, passes: Math.max(2, Math.min(steps, passes)) };
});

/** Policies of the chosen model. */
export const ofModel = computed(() => policies.value.filter(policy => policy.model === modelName.value));

/** Policies that fit the settings, most passes first. */
export const fitting = computed(() => {
  const { steps, guidance } = settings.value;
  return ofModel.value
    .filter(policy => policy.steps === steps && policy.guidance === guidance)
    .sort((a, b) => b.forwards - a.forwards);
});
