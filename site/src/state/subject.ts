import { computed } from '@preact/signals';
import type { Choice, Order } from '../engine/types';
import { fitting, modelName, settings } from './model';
import { link } from './route';
import { evenSchedule } from './schedules';

/** Prompt and seed: those of the address, else the first that a visitor sees. */
export const subject = computed(() => ({ prompt: link.value.prompt ?? 'red heart', seed: link.value.seed ?? 1 }));

/** What is drawn when the steps are chosen so. */
export function orderOf(choice: Choice): Order {
  const { steps, guidance } = settings.value;
  return { model: modelName.value, ...subject.value, steps, guidance, choice };
}

/** How so many forward passes are made: calibrated where there is a policy for that, else evenly spread. */
export function choiceOf(passes: number): Choice {
  const { steps } = settings.value;
  if (passes >= steps) return { by: 'none' };
  // Of several with as many passes, the last is the visitor's own.
  const policy = fitting.value.findLast(candidate => candidate.forwards === passes);
  return policy ? { by: 'policy', hash: policy.hash } : { by: 'schedule', schedule: evenSchedule(steps, passes) };
}

/** The schedule that a choice foretells. */
export function plannedSchedule(choice: Choice, steps: number): string {
  if (choice.by === 'schedule') return choice.schedule;
  const policy = choice.by === 'policy' ? fitting.value.find(({ hash }) => hash === choice.hash) : undefined;
  return policy?.schedule ?? '#'.repeat(steps);
}

/** Prompts to begin with; only those whose words the model knows are offered. */
export const EXAMPLES: readonly string[] = [
  'red heart',
  'rocket',
  'guitar',
  'panda',
  'soft ice cream',
  'octopus',
  'zebra',
  'cookie',
  'unicorn',
  'key',
  'tiger',
  'snowman',
  'penguin',
  'crying face',
  'sunglasses',
  'green heart',
  'ghost',
  'dolphin',
  'yellow star',
  'frog',
  'avocado',
  'alien',
];

/** The examples whose words are all in a vocabulary. */
export function knownExamples(words: readonly string[]): string[] {
  if (words.length === 0) return [...EXAMPLES];
  const known = new Set(words);
  return EXAMPLES.filter(prompt => prompt.split(' ').every(word => known.has(word)));
}
