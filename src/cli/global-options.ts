/** Options that every command takes; read them with `command.optsWithGlobals<GlobalOptions>()`. */
export interface GlobalOptions {
  backend: string;
  verbose: boolean;
  threads?: number | undefined;
}
