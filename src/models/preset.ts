/** A published model: the configurations that its repository holds. How it is usually run follows from them (`Family`). */
export interface Preset {
  /** Short name, such as `flux-dev`. */
  readonly name: string;
  /** Name for people. */
  readonly title: string;
  /** What the transformer's `config.json` says. A folder's own file always wins over this. */
  readonly transformer: { readonly _class_name: string } & Readonly<Record<string, unknown>>;
  /** What the `scheduler_config.json` says. */
  readonly scheduler: { readonly _class_name: string } & Readonly<Record<string, unknown>>;
  /** The autoencoder's class, and what its `config.json` says; models that paint pixels have none. */
  readonly autoencoder?: { readonly className: string; readonly config: unknown };
}
