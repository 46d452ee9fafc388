import { formatBytes } from '../../../engine/memory';
import type { Comparison } from '../../compare/comparison';
import { html, type Markup } from './html';

/** What the methods do, in a sentence each. */
export function methodsSection({ methods }: Comparison): Markup {
  return html`<section id="methods">
<h2>The methods</h2>
<dl>${methods.map(
    m => html`<dt>${m.title}</dt><dd>${m.summary}${m.source ? html` <small>${m.source}</small>` : undefined}</dd>`,
  )}</dl>
</section>`;
}

/** How the numbers came about, so that they can be made again. */
export function aboutSection(comparison: Comparison): Markup {
  const { request, machine, versions, command, started, parameters, facts } = comparison;
  const { model, steps, guidance, picture, calibration, evaluation, lpips } = request;
  const asked = Object.entries(picture).map(([name, value]) => `, ${name} ${value}`);
  const hardware = [machine.cpu, `${machine.threads} threads`, formatBytes(machine.memoryBytes), ...machine.gpus];
  return html`<section id="about">
<h2>How it was measured</h2>
<p>The reference is the uncached run of the same prompt and seed on the same machine. PSNR (100 dB where no pixel
differs) and SSIM (11×11 Gaussian windows inside the picture, each colour by itself) are those of the 8-bit pixels that are
written; what is called “in floats” is taken before they are rounded. Clips are compared frame by frame. LPIPS uses AlexNet${lpips ? '' : ' and was not computed: no weights were given'}. Everything that is
calibrated or tuned was so on ${calibration.length} pairs whose prompts and seeds none of the ${evaluation.length} pairs
above shares. A forward pass is one run of all blocks of the model for one picture, guidance included; blocks that run at
reused steps count for their share.</p>
<dl class="facts">
<dt>model</dt><dd>${model.id}, ${model.class}, ${(parameters / 1e6).toPrecision(3)} million parameters, ${model.hash.slice(0, 12)}</dd>
<dt>run</dt><dd>${steps} steps, ${model.scheduler}, guidance ${guidance}${asked.join('')}</dd>
${facts && html`<dt>TeaCache’s fit</dt><dd>polynomial of degree ${facts.polynomial.length - 1}, R² ${facts.r2.toFixed(3)}</dd>`}
<dt>machine</dt><dd>${hardware.join(', ')}</dd>
<dt>software</dt><dd>ertacache ${versions.ertacache}, ${versions.engine}, TensorFlow.js ${versions.tfjs}, ${/^\d/.test(versions.node) ? 'Node ' : ''}${versions.node}</dd>
<dt>begun</dt><dd><time datetime="${started}">${started.slice(0, 16).replace('T', ' ')} UTC</time></dd>
</dl>
<pre aria-label="The command that made this page"><code>${command}</code></pre>
</section>`;
}
