// A script of its own that registers the backend, loaded when it is wanted. TensorFlow.js keeps what is registered in one
// place for all scripts of a worker.
import '@tensorflow/tfjs-backend-webgl';
