import type { Command } from 'commander';

/** A command of the command line, of which nothing is loaded before it is asked for. */
export interface CommandEntry {
  readonly name: string;
  /** One line for the list of commands. */
  readonly description: string;
  load(): Promise<Command>;
}

/** Every command. Loading all of them takes longer than most of them run. */
export const commandEntries: readonly CommandEntry[] = [
  {
    name: 'sample',
    description: 'draw a picture or a clip from a prompt',
    load: async () => (await import('./commands/sample')).sampleCommand(),
  },
  {
    name: 'calibrate',
    description: 'find out which steps a model can reuse, and how to correct them',
    load: async () => (await import('./commands/calibrate')).calibrateCommand(),
  },
  {
    name: 'compare',
    description: 'compare caching methods at the same number of computed steps, and write a report',
    load: async () => (await import('./commands/compare')).compareCommand(),
  },
  {
    name: 'demo',
    description: 'draw a sheet of pictures, cached beside uncached, with speed-up and likeness',
    load: async () => (await import('./commands/demo')).demoCommand(),
  },
  {
    name: 'bench',
    description: 'time a model on this machine',
    load: async () => (await import('./commands/bench')).benchCommand(),
  },
  {
    name: 'convert',
    description: 'convert a checkpoint into tfjs form: model.json and weight shards; transformers become graph models',
    load: async () => (await import('./commands/convert')).convertCommand(),
  },
  {
    name: 'worker',
    description: 'draw what waits in a queue on Redis',
    load: async () => (await import('./commands/worker')).workerCommand(),
  },
  {
    name: 'submit',
    description: 'let the workers of a queue draw pictures',
    load: async () => (await import('./commands/submit')).submitCommand(),
  },
  {
    name: 'queue',
    description: 'look at a queue, and cancel, retry or remove its jobs',
    load: async () => (await import('./commands/queue')).queueCommand(),
  },
  {
    name: 'doctor',
    description: 'say which backends work on this machine, how fast they are, and what is missing',
    load: async () => (await import('./commands/doctor')).doctorCommand(),
  },
  {
    name: 'download',
    description: 'download a model from the hub; run again, it goes on where it ended',
    load: async () => (await import('./commands/download')).downloadCommand(),
  },
  {
    name: 'engine',
    description: 'the native TensorFlow engine',
    load: async () => (await import('./commands/engine')).engineCommand(),
  },
  {
    name: 'export',
    description: 'write the transformer of a model as a graph model that plain tfjs runs (tf.loadGraphModel)',
    load: async () => (await import('./commands/export')).exportCommand(),
  },
  {
    name: 'info',
    description: 'say what a model is and what it needs, and check that one on disk is whole',
    load: async () => (await import('./commands/info')).infoCommand(),
  },
  {
    name: 'inspect',
    description: 'print how a picture or a clip was made, from the receipt in it',
    load: async () => (await import('./commands/inspect')).inspectCommand(),
  },
  {
    name: 'metrics',
    description: 'compare two pictures, two clips (WebP, GIF, frame folders) or two folders, matched by file name',
    load: async () => (await import('./commands/metrics')).metricsCommand(),
  },
  {
    name: 'playground',
    description: 'open the page that draws, compares and calibrates in a browser',
    load: async () => (await import('./commands/playground')).playgroundCommand(),
  },
  {
    name: 'policy',
    description: 'look at calibrated policies, export and resample them',
    load: async () => (await import('./commands/policy')).policyCommand(),
  },
  {
    name: 'serve',
    description: "serve pictures and clips over HTTP, with an interface like OpenAI's",
    load: async () => (await import('./commands/serve')).serveCommand(),
  },
  {
    name: 'verify',
    description: 'compare models, samplers and caches with golden cases of the reference implementations',
    load: async () => (await import('./commands/verify')).verifyCommand(),
  },
];
