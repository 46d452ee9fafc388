import type { GoldenTensor } from '../support/golden';

type Tensors = ReadonlyMap<string, GoldenTensor>;

/** Tensors one below the other. */
function stacked(parts: readonly GoldenTensor[]): GoldenTensor {
  const data = Float32Array.from(parts.flatMap(part => [...part.data]));
  const rows = parts.reduce((sum, part) => sum + part.shape[0]!, 0);
  return { shape: [rows, ...parts[0]!.shape.slice(1)], data };
}

function halvesSwapped({ shape, data }: GoldenTensor): GoldenTensor {
  const half = data.length / 2;
  return { shape, data: Float32Array.from([...data.slice(half), ...data.slice(0, half)]) };
}

/** Writes what `taken` holds under other names, and refuses to leave anything behind. */
function renaming(ours: Tensors) {
  const left = new Map(ours);
  const theirs = new Map<string, GoldenTensor>();
  const take = (name: string): GoldenTensor => {
    const tensor = left.get(name);
    if (!tensor) throw new Error(`there is no ${name}`);
    left.delete(name);
    return tensor;
  };
  return {
    has: (name: string) => left.has(name),
    put: (name: string, ...from: string[]) => theirs.set(name, stacked(from.map(take))),
    both(name: string, ...from: string[]) {
      for (const part of ['weight', 'bias']) {
        if (left.has(`${from[0]}.${part}`)) this.put(`${name}.${part}`, ...from.map(module => `${module}.${part}`));
      }
    },
    swapped(name: string, from: string) {
      for (const part of ['weight', 'bias']) theirs.set(`${name}.${part}`, halvesSwapped(take(`${from}.${part}`)));
    },
    done() {
      if (left.size > 0) throw new Error(`left over: ${[...left.keys()].join(', ')}`);
      return theirs;
    },
  };
}

/** A FLUX checkpoint with diffusers' names, written as `flux/model.py` of Black Forest Labs names its modules. */
export function asOriginalFlux(ours: Tensors, doubles: number, singles: number): Map<string, GoldenTensor> {
  const to = renaming(ours);
  to.both('img_in', 'x_embedder');
  to.both('txt_in', 'context_embedder');
  for (const [theirs, name] of [
    ['time_in', 'timestep_embedder'],
    ['vector_in', 'text_embedder'],
    ['guidance_in', 'guidance_embedder'],
  ]) {
    to.both(`${theirs}.in_layer`, `time_text_embed.${name}.linear_1`);
    to.both(`${theirs}.out_layer`, `time_text_embed.${name}.linear_2`);
  }
  fluxBlocks(to, doubles, singles);
  to.swapped('final_layer.adaLN_modulation.1', 'norm_out.linear');
  to.both('final_layer.linear', 'proj_out');
  return to.done();
}

/** A Chroma checkpoint likewise, as the file on its author's page names its tensors. */
export function asOriginalChroma(
  ours: Tensors,
  layers: number,
  doubles: number,
  singles: number,
): Map<string, GoldenTensor> {
  const to = renaming(ours);
  to.both('img_in', 'x_embedder');
  to.both('txt_in', 'context_embedder');
  const network = 'distilled_guidance_layer';
  for (const end of ['in_proj', 'out_proj']) to.both(`${network}.${end}`, `${network}.${end}`);
  for (let i = 0; i < layers; i++) {
    to.both(`${network}.layers.${i}.in_layer`, `${network}.layers.${i}.linear_1`);
    to.both(`${network}.layers.${i}.out_layer`, `${network}.layers.${i}.linear_2`);
    to.put(`${network}.norms.${i}.scale`, `${network}.norms.${i}.weight`);
  }
  fluxBlocks(to, doubles, singles);
  to.both('final_layer.linear', 'proj_out');
  return to.done();
}

/** The blocks of both; modulations where there are some. */
function fluxBlocks(to: ReturnType<typeof renaming>, doubles: number, singles: number): void {
  for (let i = 0; i < doubles; i++) {
    const [a, b] = [`double_blocks.${i}`, `transformer_blocks.${i}`];
    for (const [stream, norm, added, attn, out, ff] of [
      ['img', 'norm1', 'norm_', ['to_q', 'to_k', 'to_v'], 'to_out.0', 'ff'],
      ['txt', 'norm1_context', 'norm_added_', ['add_q_proj', 'add_k_proj', 'add_v_proj'], 'to_add_out', 'ff_context'],
    ] as const) {
      to.both(`${a}.${stream}_mod.lin`, `${b}.${norm}.linear`);
      to.both(`${a}.${stream}_attn.qkv`, ...attn.map(name => `${b}.attn.${name}`));
      to.put(`${a}.${stream}_attn.norm.query_norm.scale`, `${b}.attn.${added}q.weight`);
      to.put(`${a}.${stream}_attn.norm.key_norm.scale`, `${b}.attn.${added}k.weight`);
      to.both(`${a}.${stream}_attn.proj`, `${b}.attn.${out}`);
      to.both(`${a}.${stream}_mlp.0`, `${b}.${ff}.net.0.proj`);
      to.both(`${a}.${stream}_mlp.2`, `${b}.${ff}.net.2`);
    }
  }
  for (let i = 0; i < singles; i++) {
    const [a, b] = [`single_blocks.${i}`, `single_transformer_blocks.${i}`];
    to.both(`${a}.linear1`, ...['attn.to_q', 'attn.to_k', 'attn.to_v', 'proj_mlp'].map(name => `${b}.${name}`));
    to.both(`${a}.linear2`, `${b}.proj_out`);
    to.put(`${a}.norm.query_norm.scale`, `${b}.attn.norm_q.weight`);
    to.put(`${a}.norm.key_norm.scale`, `${b}.attn.norm_k.weight`);
    to.both(`${a}.modulation.lin`, `${b}.norm.linear`);
  }
}

/** A Wan checkpoint with diffusers' names, written as `wan/modules/model.py` of its authors names its modules. */
export function asOriginalWan(ours: Tensors, blocks: number): Map<string, GoldenTensor> {
  const to = renaming(ours);
  to.both('patch_embedding', 'patch_embedding');
  for (const [theirs, name] of [
    ['text_embedding', 'text_embedder'],
    ['time_embedding', 'time_embedder'],
  ]) {
    to.both(`${theirs}.0`, `condition_embedder.${name}.linear_1`);
    to.both(`${theirs}.2`, `condition_embedder.${name}.linear_2`);
  }
  to.both('time_projection.1', 'condition_embedder.time_proj');
  for (let i = 0; i < blocks; i++) {
    const at = `blocks.${i}`;
    to.put(`${at}.modulation`, `${at}.scale_shift_table`);
    for (const [theirs, name] of [
      ['self_attn', 'attn1'],
      ['cross_attn', 'attn2'],
    ]) {
      for (const part of ['q', 'k', 'v']) to.both(`${at}.${theirs}.${part}`, `${at}.${name}.to_${part}`);
      to.both(`${at}.${theirs}.o`, `${at}.${name}.to_out.0`);
      for (const part of ['norm_q', 'norm_k']) to.both(`${at}.${theirs}.${part}`, `${at}.${name}.${part}`);
    }
    to.both(`${at}.norm3`, `${at}.norm2`);
    to.both(`${at}.ffn.0`, `${at}.ffn.net.0.proj`);
    to.both(`${at}.ffn.2`, `${at}.ffn.net.2`);
  }
  to.put('head.modulation', 'scale_shift_table');
  to.both('head.head', 'proj_out');
  return to.done();
}
