import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { PolicyError } from '../errors';
import { type Forecast, forecasting, type Outlook, taylorForecast } from './forecast';
import type { CachePolicy } from './policy';
import type { SiteName } from './sites';

/** Settings of Spectrum. */
export interface SpectrumOptions {
  /** Which steps are rebuilt instead of computed. */
  readonly reused: readonly boolean[];
  /** Highest Chebyshev polynomial; 4 unless given. */
  readonly degree?: number | undefined;
  /** Ridge of the regression; 0.1 unless given. */
  readonly ridge?: number | undefined;
  /** Share of the global fit, the rest being a local line through the last two outputs; 1 unless given. */
  readonly blend?: number | undefined;
  /** What is forecast; `velocity` unless given. */
  readonly site?: SiteName | undefined;
}

/** Computed outputs that are fitted at most, as in the released code. */
const WINDOW = 10;

/**
 * Spectrum (arXiv 2603.01623): the outputs computed so far are fitted over the whole run by Chebyshev polynomials in the
 * number of the step, with a ridge, and the fit is read at the step to rebuild.
 * @param options schedule, degree, ridge, blend and site; as in the released code by default
 * @returns the caching method
 * @throws PolicyError for settings out of range
 */
export function spectrum(options: SpectrumOptions): CachePolicy {
  const { reused, degree = 4, ridge = 0.1, blend = 1, site } = options;
  if (!Number.isInteger(degree) || degree < 1 || !(ridge > 0) || !(blend >= 0 && blend <= 1)) {
    throw new PolicyError(`Spectrum cannot fit degree ${degree} with a ridge of ${ridge} and a share of ${blend}.`, {
      hint: 'The degree is a whole number from 1, the ridge is above 0, and the share lies between 0 and 1.',
    });
  }
  return forecasting({ name: 'spectrum', reused, site, forecast: chebyshevForecast(degree, ridge, blend) });
}

/** The forecast by a ridge regression on Chebyshev polynomials, blended with a line through the last two outputs. */
export function chebyshevForecast(degree: number, ridge: number, blend: number): Forecast {
  const local = taylorForecast(1);
  return {
    depth: WINDOW,
    weights(outlook) {
      const near = local.weights(outlook);
      return globalWeights(outlook, degree, ridge).map((w, k) => blend * w + (1 - blend) * (near[k] ?? 0));
    },
  };
}

/** `x (XᵀX + λ)⁻¹ Xᵀ`: what each computed output counts in the fit's value at a step. */
function globalWeights({ computed, at, sigmas }: Outlook, degree: number, ridge: number): number[] {
  const place = (step: number): number => (2 * step) / (sigmas.length - 1) - 1;
  const design = new Matrix(computed.map(step => chebyshev(place(step), degree)));
  const gram = design
    .transpose()
    .mmul(design)
    .add(Matrix.eye(degree + 1).mul(ridge));
  const wanted = Matrix.columnVector(chebyshev(place(at), degree));
  return design.mmul(new CholeskyDecomposition(gram).solve(wanted)).to1DArray();
}

/** `T₀ … T_degree` at `x`: `Tₙ₊₁ = 2x Tₙ - Tₙ₋₁`. */
function chebyshev(x: number, degree: number): number[] {
  const values = [1, x];
  while (values.length <= degree) values.push(2 * x * (values.at(-1) as number) - (values.at(-2) as number));
  return values;
}
