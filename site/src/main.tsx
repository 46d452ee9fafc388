import { render } from 'preact';
import { App } from './app';
import { keepForLater } from './offline/keep';
import { reportColours } from './state/colours';
import './styles/base.css';
import './styles/frame.css';
import './styles/controls.css';
import './styles/pictures.css';
import './styles/screens.css';

reportColours();
const root = document.getElementById('app');
if (root) render(<App />, root);
keepForLater();
