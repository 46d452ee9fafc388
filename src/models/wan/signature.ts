import { alongAxis, flat, ropeOf } from '../graph-tables';
import { axisOf, type Signature } from '../signature';
import type { WanConfig } from './transformer';
import { wanRopeDims } from './transformer';

/** Wan's rotary tables are made in the graph, from the latent's own shape. */
export const wanSignature: Signature<WanConfig> = {
  sizes: ({ patch_size: patch }) => ({
    batch: axisOf('sample', 0),
    frames: axisOf('sample', 2, patch[0]),
    rows: axisOf('sample', 3, patch[1]),
    columns: axisOf('sample', 4, patch[2]),
    text: axisOf('encoder_hidden_states', 1),
  }),
  call(config, { batch, frames, rows, columns, text }, build) {
    const grid = [frames!, rows!, columns!];
    const axes = grid.map(({ size, value }) => size.unit * value);
    const sample = build.input('sample', [batch!.value, config.in_channels, ...axes]);
    const timestep = build.input('timestep', [batch!.value]);
    const encoderHiddenStates = build.input('encoder_hidden_states', [batch!.value, text!.value, config.text_dim]);
    const positions = grid.map((size, axis) => alongAxis(build.range(size), axis, grid.length));
    const { cos, sin } = ropeOf(positions, wanRopeDims(config));
    return { sample, timestep, condition: { encoderHiddenStates, rope: { cos: flat(cos), sin: flat(sin) } } };
  },
};
