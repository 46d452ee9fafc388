/** What a step cache is, beside one. */
export function Learn({ steps }: { readonly steps: number }) {
  return (
    <div class="learn">
      <p>
        The model begins with noise and removes it in {steps} <b>steps</b>. At each it calls a large network: a{' '}
        <b>forward pass</b>. From one step to the next the network’s answer changes little, so a <b>step cache</b> calls
        it at some steps only, and rebuilds the other answers from those it has.
      </p>
      <ul class="legend">
        <li>
          <i class="computed" /> computed: the network ran
        </li>
        <li>
          <i class="reused" /> reused: rebuilt from earlier answers
        </li>
      </ul>
    </div>
  );
}
