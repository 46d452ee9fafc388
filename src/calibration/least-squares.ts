import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import type { Affine } from '../cache/rectify';
import { median } from '../metrics/statistics';

/** What a regression needs to know of one run's samples, in double precision. */
export interface Moments {
  /** Products of every two variables, summed over the samples. */
  readonly gram: Matrix;
  /** Products of every variable with the target. */
  readonly moment: Matrix;
  /** Sum of the target's squares. */
  readonly square: number;
}

type Column = ArrayLike<number> & object;

/** Samples of one variable, run by run. */
export type Variable = readonly Column[];

/** The products of every two of some variables, summed over the samples of a run: `[run][variable][variable]`. */
export type Products = (variables: readonly Variable[]) => number[][][];

/**
 * The moments of every run.
 * @param variables `variables[c][run][n]` is a value of variable c, `target[run][n]` what they should combine to
 * @param products what sums the products
 */
export function momentsOf(
  variables: readonly Variable[],
  target: Variable,
  products: Products = rememberedProducts(),
): Moments[] {
  return products([...variables, target]).map(all => {
    const moment = all.pop() as number[];
    const square = moment.pop() as number;
    return { gram: new Matrix(all.map(row => row.slice(0, -1))), moment: Matrix.columnVector(moment), square };
  });
}

/** Sums each product once, as long as somebody holds both variables: from step to step most of them come again. */
export function rememberedProducts(): Products {
  const known = new WeakMap<Variable, WeakMap<Variable, number[]>>();
  const found = (a: Variable, b: Variable): number[] | undefined => known.get(a)?.get(b) ?? known.get(b)?.get(a);
  return variables => {
    const missing = (left: Variable): Variable[] => variables.filter(right => !found(left, right));
    const counted = variables.map(left => ({ left, count: missing(left).length }));
    // The new ones with all others: so the fewest sums stand alone.
    for (const { left } of counted.sort((a, b) => b.count - a.count)) {
      const rights = missing(left);
      const own = known.get(left) ?? new WeakMap<Variable, number[]>();
      known.set(left, own);
      const sums = left.map((column, run) =>
        dots(
          column,
          rights.map(right => right[run] as Column),
        ),
      );
      for (const [i, right] of rights.entries()) {
        const ofRuns = sums.map(some => some[i] as number);
        own.set(right, ofRuns);
      }
    }
    const all = variables.map(a => variables.map(b => found(a, b) as number[]));
    return (variables[0] ?? []).map((_, run) => all.map(row => row.map(sums => sums[run] as number)));
  };
}

/** `dot` of one column with several. Four sums at a time, because an addition waits for the one before it in its sum. */
function dots(left: Column, rights: readonly Column[]): number[] {
  const sums: number[] = [];
  for (let r = 0; r < rights.length; r += 4) {
    const [a, b = a, c = a, d = a] = rights.slice(r, r + 4) as [Column, ...Column[]];
    let [ofA, ofB, ofC, ofD] = [0, 0, 0, 0];
    for (let i = 0; i < left.length; i++) {
      const value = left[i] as number;
      ofA += value * (a[i] as number);
      ofB += value * (b[i] as number);
      ofC += value * (c[i] as number);
      ofD += value * (d[i] as number);
    }
    sums.push(...[ofA, ofB, ofC, ofD].slice(0, rights.length - r));
  }
  return sums;
}

/** The moments of every variable times every factor: variable by variable, in the order of the factors. */
export function timesFactors({ gram, moment, square }: Moments, factors: readonly number[]): Moments {
  const column = Matrix.columnVector([...factors]);
  return {
    gram: gram.kroneckerProduct(column.mmul(column.transpose())),
    moment: moment.kroneckerProduct(column),
    square,
  };
}

/**
 * The weights that minimise the squared error, each run's counted `counts` times, plus `ridge` times the target's
 * squares times the weights' squares: what keeps columns that are nearly equal from getting huge weights of opposite
 * sign.
 */
export function ridgeRegression(
  runs: readonly Moments[],
  ridge: number,
  counts: readonly number[] = runs.map(() => 1),
): number[] {
  const [first] = runs as readonly [Moments, ...Moments[]];
  const gram = Matrix.zeros(first.gram.rows, first.gram.columns);
  const moment = Matrix.zeros(first.moment.rows, 1);
  let square = 0;
  for (const [r, run] of runs.entries()) {
    const count = counts[r] as number;
    gram.add(Matrix.mul(run.gram, count));
    moment.add(Matrix.mul(run.moment, count));
    square += count * run.square;
  }
  gram.add(Matrix.eye(gram.rows).mul(ridge * (square || 1)));
  return new CholeskyDecomposition(gram).solve(moment).to1DArray();
}

/** Squared error that `weights` leave on a run. */
function errorOf({ gram, moment, square }: Moments, weights: readonly number[]): number {
  const w = Matrix.columnVector([...weights]);
  return Math.max(0, square - 2 * w.dot(moment) + w.dot(gram.mmul(w)));
}

/** The weights hardly move after so many rounds. */
const ROUNDS = 6;

/**
 * The weights that minimise the *logarithms* of the runs' squared errors (each beside the usual error, so that none is
 * fitted for its own sake), which is what decibels are: what counts is by what share a run's error shrinks, not by how
 * much. Plain least squares looks after the few runs that are worst, and what is fitted on a few pairs then depends on
 * which of them these are; one that has tipped over to another picture outweighs all others. Solved by reweighting:
 * every round, a run counts as one over the error that the last round left on it.
 */
export function fitDecibels(runs: readonly Moments[], ridge: number): number[] {
  let weights = ridgeRegression(runs, ridge);
  for (let round = 0; round < ROUNDS; round++) {
    const errors = runs.map(run => errorOf(run, weights));
    const usual = median(errors);
    if (usual === 0) break;
    const counts = errors.map(e => usual / (usual + e));
    weights = ridgeRegression(runs, ridge, counts);
  }
  return weights;
}

/** Sum of products, in double precision. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

/** First and second moments of rebuilt outputs and their errors, from which K and B follow (method section 4). */
export interface AffineFit {
  /** Adds one value and its error to channel `c`. */
  add(c: number, rebuilt: number, error: number): void;
  solve(): Affine;
}

/**
 * The paper's closed form, `K = 4 Cov(ṽ, ε) / Var(ṽ)`, `B = 4 (mean ε - ½) - K mean ṽ`. A channel whose rebuilt
 * values do not vary gets K = 0.
 */
export function affineFit(channels: number): AffineFit {
  const sums = Array.from({ length: channels }, () => ({ n: 0, meanV: 0, meanE: 0, varV: 0, covar: 0 }));
  return {
    add(c, rebuilt, error) {
      // Welford's update: differences from running means, so that a large mean does not swallow a small variance.
      const s = sums[c]!;
      s.n++;
      const dv = rebuilt - s.meanV;
      s.meanV += dv / s.n;
      s.meanE += (error - s.meanE) / s.n;
      s.varV += dv * (rebuilt - s.meanV);
      s.covar += dv * (error - s.meanE);
    },
    solve() {
      // In float32, as they are stored and used: a policy read back is the policy that was fitted.
      const K = sums.map(s => (s.varV > 0 ? Math.fround((4 * s.covar) / s.varV) : 0));
      return { K, B: sums.map((s, c) => Math.fround(4 * (s.meanE - 0.5) - (K[c] as number) * s.meanV)) };
    },
  };
}
