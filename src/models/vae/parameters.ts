import { type ParameterTable, vector } from '../../weights/parameters';

/** A convolution over rows and columns with a square kernel. */
export function conv2d(name: string, inputs: number, outputs: number, size = 3): ParameterTable {
  return [
    { name: `${name}.weight`, shape: [outputs, inputs, size, size], layout: 'conv2d' },
    vector(`${name}.bias`, outputs),
  ];
}

/** Kernel over frames, rows, columns. */
export type Kernel3d = readonly [number, number, number];

/** A convolution over frames, rows and columns; a cube unless the kernel is given whole. */
export function conv3d(
  name: string,
  inputs: number,
  outputs: number,
  size: number | Kernel3d = 3,
  bias = true,
): ParameterTable {
  const kernel = typeof size === 'number' ? [size, size, size] : size;
  return [
    { name: `${name}.weight`, shape: [outputs, inputs, ...kernel], layout: 'conv3d' },
    ...(bias ? [vector(`${name}.bias`, outputs)] : []),
  ];
}

/** A GroupNorm's factor and summand. */
export function norm(name: string, channels: number): ParameterTable {
  return [vector(`${name}.weight`, channels), vector(`${name}.bias`, channels)];
}
