import { effect } from '@preact/signals';
import { settled } from '../state/painter';

/** Keeps the page for visits without a network, once the visitor has seen something: what is kept is fetched once more. */
export function keepForLater(): void {
  // Vite's own server has no service worker.
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const stop = effect(() => {
    if (!settled.value) return;
    queueMicrotask(() => stop());
    navigator.serviceWorker.register(new URL('service-worker.js', document.baseURI)).catch(() => {
      // In private windows and on insecure addresses there is none; the page works without.
    });
  });
}
