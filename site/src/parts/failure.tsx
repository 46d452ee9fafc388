interface FailureProps {
  readonly text: string;
  readonly hint?: string | undefined;
  readonly onRetry?: (() => void) | undefined;
}

/** What went wrong, in one sentence, and what can be done. */
export function Failure({ text, hint, onRetry }: FailureProps) {
  return (
    <div class="failure" role="alert">
      <p>
        {text} {hint && <span>{hint}</span>}
      </p>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}
