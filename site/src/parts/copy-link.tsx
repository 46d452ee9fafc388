import { useState } from 'preact/hooks';
import { announce } from './announcer';
import { LinkIcon } from './icons';

/** Copies the address, which holds everything that is set. */
export function CopyLink() {
  const [said, setSaid] = useState('Copy a link to this');
  return (
    <button
      type="button"
      class="quiet wide"
      onClick={async () => {
        try {
          await navigator.clipboard.writeText(location.href);
          setSaid('Copied');
          announce('The link is copied.');
        } catch {
          setSaid('The address above is the link');
        }
        setTimeout(() => setSaid('Copy a link to this'), 2500);
      }}
    >
      <LinkIcon /> {said}
    </button>
  );
}
