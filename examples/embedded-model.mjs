/**
 * The model that ships inside the package, in a Node script: a picture with every step computed, the same picture with
 * the shipped policy, and how alike they are. Needs `npm install ertacache`.
 */
import { draw, loadModel, psnr, selectBackend, ssim, writeMedia } from 'ertacache';

const { label } = await selectBackend('auto');
const model = await loadModel('fluent-emoji');
const whole = await draw({ prompt: 'red heart', seed: 1, policy: 'none' }, { model });
const cached = await draw({ prompt: 'red heart', seed: 1 }, { model });
await writeMedia('red-heart.png', cached.media, { receipt: cached.receipt });
model.dispose();

const decibels = psnr(whole.media, cached.media).toFixed(1);
const similarity = ssim(whole.media, cached.media).toFixed(4);
console.log(`on ${label}`);
console.log(`${whole.schedule} ${whole.forwards} forward passes`);
console.log(`${cached.schedule} ${cached.forwards} forward passes: PSNR ${decibels} dB, SSIM ${similarity}`);
