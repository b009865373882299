export default {
  input: 'openapi.json',
  output: { path: 'generated/hey_api', importFileExtension: '.js' },
  plugins: ['@hey-api/client-fetch'],
};
