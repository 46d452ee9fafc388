import type { ComponentChildren } from 'preact';

const icon = (children: ComponentChildren) => () => (
  <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
    {children}
  </svg>
);

export const DrawIcon = icon(
  <>
    <rect x="2.75" y="3.75" width="14.5" height="12.5" rx="2.5" />
    <path d="M3.2 14.2 7.6 9.6l3 3 2-2 4.2 4.2" />
    <circle cx="12.9" cy="7.3" r="1.1" />
  </>,
);
export const ScheduleIcon = icon(<path d="M3.5 4.5v11M7.8 4.5v11M12.1 8.5v3M16.4 4.5v11" />);
export const CompareIcon = icon(
  <>
    <path d="M3.5 3v13.5H17" />
    <path d="M5.8 13.4c2.6 0 3-7.4 10.4-7.9" />
  </>,
);
export const CalibrateIcon = icon(
  <>
    <path d="M4.2 14.8a7.3 7.3 0 1 1 11.6 0" />
    <path d="m10 11 3.1-4" />
    <circle cx="10" cy="11.4" r="0.9" />
  </>,
);
export const RepeatIcon = icon(
  <path d="M15.9 8.2A6.3 6.3 0 0 0 4.6 7M4.1 11.8A6.3 6.3 0 0 0 15.4 13M4.2 3.6V7h3.4M15.8 16.4V13h-3.4" />,
);
export const DiceIcon = icon(
  <>
    <rect x="3.25" y="3.25" width="13.5" height="13.5" rx="3" />
    <path class="dots" d="M7 7h.01M13 7h.01M10 10h.01M7 13h.01M13 13h.01" />
  </>,
);
export const SaveIcon = icon(<path d="M10 3.5v8.2M6.6 8.6 10 12l3.4-3.4M3.8 14v2.2h12.4V14" />);
export const FilmIcon = icon(
  <>
    <rect x="3.2" y="4.2" width="13.6" height="11.6" rx="2" />
    <path class="full" d="M8.4 7.4v5.2l4.2-2.6Z" />
  </>,
);
export const OpenIcon = icon(<path d="M10 12V3.8M6.6 7 10 3.6 13.4 7M3.8 14v2.2h12.4V14" />);
export const LinkIcon = icon(
  <path d="M8.4 11.6a3 3 0 0 0 4.3 0l2.6-2.6a3 3 0 0 0-4.3-4.3L9.9 5.8M11.6 8.4a3 3 0 0 0-4.3 0L4.7 11A3 3 0 0 0 9 15.3l1.1-1.1" />,
);
export const SunIcon = icon(
  <>
    <circle cx="10" cy="10" r="3.2" />
    <path d="M10 2.8v1.6M10 15.6v1.6M2.8 10h1.6M15.6 10h1.6M4.9 4.9 6 6M14 14l1.1 1.1M15.1 4.9 14 6M6 14l-1.1 1.1" />
  </>,
);
export const MoonIcon = icon(<path d="M16 11.8A6.6 6.6 0 0 1 8.2 4a6.5 6.5 0 1 0 7.8 7.8Z" />);
export const AutoIcon = icon(
  <>
    <circle cx="10" cy="10" r="6.6" />
    <path class="full" d="M10 3.4a6.6 6.6 0 0 1 0 13.2Z" />
  </>,
);
export const PlayIcon = icon(<path class="full" d="M6.5 4.6v10.8l8.6-5.4Z" />);
export const StopIcon = icon(<rect class="full" x="5.5" y="5.5" width="9" height="9" rx="1.6" />);
