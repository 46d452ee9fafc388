// As webgl.ts.
import '@tensorflow/tfjs-backend-webgpu';
