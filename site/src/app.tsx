import { useEffect, useRef } from 'preact/hooks';
import { Announcer } from './parts/announcer';
import {
  AutoIcon,
  CalibrateIcon,
  CompareIcon,
  DrawIcon,
  MoonIcon,
  RepeatIcon,
  ScheduleIcon,
  SunIcon,
} from './parts/icons';
import { Loading } from './parts/loading';
import { Calibrate } from './screens/calibrate';
import { Compare } from './screens/compare';
import { Draw } from './screens/draw';
import { Repeat } from './screens/repeat';
import { Schedule } from './screens/schedule';
import type { Screen } from './state/link';
import { loaded, MODELS, modelName } from './state/model';
import { addressOf, change, link } from './state/route';
import { THEMES, theme } from './state/theme';

const PLACES = [
  { screen: 'draw', text: 'Draw', Icon: DrawIcon, View: Draw },
  { screen: 'schedule', text: 'Schedule', Icon: ScheduleIcon, View: Schedule },
  { screen: 'compare', text: 'Compare', Icon: CompareIcon, View: Compare },
  { screen: 'calibrate', text: 'Calibrate', Icon: CalibrateIcon, View: Calibrate },
  { screen: 'repeat', text: 'Repeat', Icon: RepeatIcon, View: Repeat },
] as const satisfies readonly { screen: Screen; [more: string]: unknown }[];

/** The page: its head, the screens to go to, and the one that is open. */
export function App() {
  const { screen } = link.value;
  const { text, View } = PLACES.find(place => place.screen === screen) ?? PLACES[0];
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    document.title = `${text} · ertacache playground`;
    // A screen reader goes on at the new screen; the first one is read from the page's beginning.
    if (!first.current) main.current?.focus({ preventScroll: true });
    if (!first.current) scrollTo({ top: 0 });
    first.current = false;
  }, [screen]);
  return (
    <>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the screen
      </button>
      <header class="top">
        <a class="brand" href={addressOf('draw')} aria-label="ertacache playground">
          <svg viewBox="0 0 22 20" aria-hidden="true">
            <path d="M1 1h4v18H1zM7 1h4v18H7zM19 1h0" />
            <rect class="hollow" x="13.6" y="1.6" width="2.8" height="16.8" />
            <path d="M18 1h4v18h-4z" />
          </svg>
          <span>ertacache</span>
        </a>
        <nav aria-label="Screens">
          {PLACES.map(({ screen: name, text: title, Icon }) => (
            <a key={name} href={addressOf(name)} aria-current={name === screen ? 'page' : undefined}>
              <Icon />
              <span>{title}</span>
            </a>
          ))}
        </nav>
        <div class="top-tools">
          <ModelSwitch />
          <ThemeButton />
        </div>
      </header>
      <main ref={main} id="main" tabIndex={-1} class={`screen ${screen}`}>
        {loaded.value.state !== 'ready' && <Loading of={loaded.value} />}
        <View />
      </main>
      <footer>
        <p>
          The model and every picture stay in this page: nothing is sent anywhere. The same runs on the command line:{' '}
          <code>npx ertacache sample "red heart"</code>.{' '}
          <a href="https://github.com/ertacache/ertacache">Source and documentation</a>
        </p>
      </footer>
      <Announcer />
    </>
  );
}

function ModelSwitch() {
  return (
    <fieldset class="switch">
      <legend class="hidden">Model</legend>
      {MODELS.map(({ id, text }) => (
        <label key={id}>
          <input
            type="radio"
            name="model"
            checked={modelName.value === id}
            // What fits one model's runs does not fit the other's.
            onChange={() =>
              change({ model: id, steps: undefined, guidance: undefined, passes: undefined, schedule: undefined })
            }
          />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

function ThemeButton() {
  const now = theme.value;
  const Icon = { auto: AutoIcon, light: SunIcon, dark: MoonIcon }[now];
  return (
    <button
      type="button"
      class="quiet round"
      aria-label={`Colours: ${now === 'auto' ? 'as the system has them' : now}`}
      title="Light or dark"
      onClick={() => {
        theme.value = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length] ?? 'auto';
      }}
    >
      <Icon />
    </button>
  );
}
