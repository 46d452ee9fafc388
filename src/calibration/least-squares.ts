import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import type { Affine } from '../cache/rectify';

/** Sums over samples from which a ridge regression is solved, in double precision. */
export interface NormalEquations {
  /**
   * Adds samples: `columns[c][n]` is the value of variable c, `target[n]` what they should combine to.
   * @param weight how much each of them counts; 1 unless given
   */
  add(columns: readonly ArrayLike<number>[], target: ArrayLike<number>, weight?: number): void;
  /**
   * The weights that minimise the squared error plus `ridge` times the target's squares times the weights' squares:
   * what keeps columns that are nearly equal from getting huge weights of opposite sign.
   */
  solve(ridge: number): number[];
}

export function normalEquations(variables: number): NormalEquations {
  const gram = Matrix.zeros(variables, variables);
  const moment = new Float64Array(variables);
  let square = 0;
  return {
    add(columns, target, weight = 1) {
      for (let a = 0; a < variables; a++) {
        const left = columns[a] as ArrayLike<number>;
        for (let b = a; b < variables; b++) {
          const sum = weight * dot(left, columns[b] as ArrayLike<number>);
          gram.set(a, b, gram.get(a, b) + sum);
          if (a !== b) gram.set(b, a, gram.get(b, a) + sum);
        }
        moment[a] = (moment[a] as number) + weight * dot(left, target);
      }
      square += weight * dot(target, target);
    },
    solve(ridge) {
      const strength = ridge * (square || 1);
      const left = Matrix.add(gram, Matrix.eye(variables).mul(strength));
      return new CholeskyDecomposition(left).solve(Matrix.columnVector([...moment])).to1DArray();
    },
  };
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
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
