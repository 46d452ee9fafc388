/** What stands before every key of ours in Redis. */
export const PREFIX = 'ertacache';

const DRAW = 'draw-';

/** The queue of a model. Each has its own, so that workers can keep to the models that they hold. */
export const queueOf = (model: string): string => `${DRAW}${model}`;

/** Keys and channels beside those of BullMQ. */
export const own = (...parts: readonly string[]): string => [PREFIX, 'fleet', ...parts].join(':');

export const KEYS = {
  /** Set: models that there are queues of. */
  models: own('models'),
  /** Hash: unfinished jobs of each user; and of each that is among them, whose it is. */
  users: own('users'),
  counted: own('counted'),
  /** Hash: how many wait for each job. */
  holders: own('holders'),
  /** What marks the store of pictures that this queue goes with. */
  store: own('store'),
  /** Set while somebody marks a new store. */
  marking: own('marking'),
  /** Sorted set: workers by the time until which they are taken to live; hash: what they say of themselves. */
  workers: own('workers'),
  workerFacts: own('worker-facts'),
  /** Set while a job is to be stopped. */
  cancelled: (id: string) => own('cancelled', id),
  /** Set while a job that is to be stopped has been asked for again. */
  again: (id: string) => own('again', id),
} as const;

export const CHANNELS = {
  /** A model: there are new jobs. */
  wake: own('wake'),
  /** The id of a job that is to be stopped. */
  cancel: own('cancel'),
  /** A job is over. */
  over: own('over'),
  /** Steps and previews of one job. */
  events: (id: string) => own('events', id),
} as const;
