import { useId, useState } from 'preact/hooks';
import { OpenIcon } from './icons';

interface DropZoneProps {
  readonly label: string;
  readonly accept: string;
  readonly multiple?: boolean;
  readonly onFiles: (files: readonly File[]) => void;
}

/** Takes files: dropped, chosen, or pasted. */
export function DropZone({ label, accept, multiple = false, onFiles }: DropZoneProps) {
  const id = useId();
  const [over, setOver] = useState(false);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is beside the input, which has the keys
    <div
      class={`drop${over ? ' over' : ''}`}
      onDragOver={event => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={event => {
        event.preventDefault();
        setOver(false);
        onFiles([...(event.dataTransfer?.files ?? [])]);
      }}
      onPaste={event => onFiles([...(event.clipboardData?.files ?? [])])}
    >
      <input
        id={id}
        type="file"
        accept={accept}
        multiple={multiple}
        onChange={event => {
          onFiles([...(event.currentTarget.files ?? [])]);
          // The same file may be chosen again.
          event.currentTarget.value = '';
        }}
      />
      <label for={id}>
        <OpenIcon />
        <span>
          <b>Drop a file here, or choose one</b>
          <small>{label}</small>
        </span>
      </label>
    </div>
  );
}
