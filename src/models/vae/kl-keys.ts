import type { KeyLayout } from '../../weights/key-layout';

const RESNET = { norm1: 'norm1', conv1: 'conv1', norm2: 'norm2', conv2: 'conv2', nin_shortcut: 'conv_shortcut' };
const ATTENTION = { norm: 'group_norm', q: 'to_q', k: 'to_k', v: 'to_v', proj_out: 'to_out.0' };

/**
 * An AutoencoderKL as its authors' code names it, which FLUX's authors and ComfyUI keep. Attention is four 1 × 1
 * convolutions there, and the decoder's stages are counted from its output.
 */
export function klKeys({ block_out_channels, layers_per_block }: KlShape): KeyLayout {
  const stages = block_out_channels.length;
  const modules: Record<string, string> = {};
  const put = (theirs: string, ours: string, names: Readonly<Record<string, string>>): void => {
    for (const [name, own] of Object.entries(names)) modules[`${theirs}.${name}`] = `${ours}.${own}`;
  };
  for (const side of ['encoder', 'decoder']) {
    put(side, side, { norm_out: 'conv_norm_out' });
    put(`${side}.mid.block_1`, `${side}.mid_block.resnets.0`, RESNET);
    put(`${side}.mid.block_2`, `${side}.mid_block.resnets.1`, RESNET);
    put(`${side}.mid.attn_1`, `${side}.mid_block.attentions.0`, ATTENTION);
  }
  for (let i = 0; i < stages; i++) {
    const [down, up] = [`encoder.down_blocks.${i}`, `decoder.up_blocks.${i}`];
    const [theirDown, theirUp] = [`encoder.down.${i}`, `decoder.up.${stages - 1 - i}`];
    for (let j = 0; j < layers_per_block; j++) put(`${theirDown}.block.${j}`, `${down}.resnets.${j}`, RESNET);
    for (let j = 0; j <= layers_per_block; j++) put(`${theirUp}.block.${j}`, `${up}.resnets.${j}`, RESNET);
    put(`${theirDown}.downsample`, `${down}.downsamplers.0`, { conv: 'conv' });
    put(`${theirUp}.upsample`, `${up}.upsamplers.0`, { conv: 'conv' });
  }
  return { marker: 'decoder.mid.block_1.norm1.weight', groups: [{ theirs: '', ours: '', modules }] };
}

/** What of a configuration decides the names. */
interface KlShape {
  readonly block_out_channels: readonly number[];
  readonly layers_per_block: number;
}
