/**
 * A polynomial that TeaCache's authors published for one checkpoint. It belongs to that checkpoint; another one needs its
 * own fit.
 */
export interface PublishedPolynomial {
  /** Name of the model's preset. */
  readonly preset: string;
  /**
   * What its input is the relative change of: the model's own signal (`Denoiser.signal`), or the projected time
   * embedding, which the variant of TeaCache that retains the first and last steps compares.
   */
  readonly signal: 'own' | 'projection';
  /** Highest power first. */
  readonly coefficients: readonly number[];
}
